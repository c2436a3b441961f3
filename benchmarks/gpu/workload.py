"""What is timed: our sequence blocks over item embeddings with a sampled softmax, at sizes of a large shop.

The logits of all positions against all negatives are never held at once: positions go through the loss in chunks that
are computed again for the gradient. B sequences, T positions, P = B x T, C negatives, D width, L layers.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from training.model.blocks import BlockKind, make_block


@dataclass(frozen=True)
class Sizes:
    """A configuration: `items` is the catalogue, `negatives` are shared by the batch, `chunk` positions a time."""

    width: int
    layers: int
    heads: int
    length: int
    batch: int
    items: int
    negatives: int
    chunk: int = 8192
    block: BlockKind = BlockKind.PRE_NORM


SIZES = {
    "tiny": Sizes(32, 1, 2, 16, 4, 500, 32, chunk=24),
    "small": Sizes(64, 2, 2, 64, 1024, 100_000, 4096),
    "middle": Sizes(512, 8, 8, 512, 64, 1_000_000, 4096),
    # 12 x D^2 x L = 12 x 768^2 x 14 = 99 million parameters that are no embedding
    "large": Sizes(768, 14, 12, 512, 64, 1_000_000, 4096),
}


class Workload(nn.Module):
    """Next-item training of one batch: (B, T + 1) item ids and (C,) negatives to a scalar loss."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.items = nn.Embedding(sizes.items, sizes.width)
        self.positions = nn.Parameter(torch.randn(sizes.length, sizes.width) * 0.02)
        self.blocks = nn.ModuleList(
            make_block(sizes.block, sizes.width, sizes.heads, dropout=0.0) for _ in range(sizes.layers)
        )
        self.norm = nn.LayerNorm(sizes.width)
        nn.init.normal_(self.items.weight, std=sizes.width**-0.5)

    def forward(self, sequences: Tensor, negatives: Tensor) -> Tensor:
        """The mean loss over B x T positions."""
        x = self.items(sequences[:, :-1]) + self.positions  # (B, T, D)
        for block in self.blocks:
            x = block(x)
        users = self.norm(x).flatten(0, 1)  # (P, D)
        targets = sequences[:, 1:].flatten()  # (P,)
        pool = self.items(negatives)  # (C, D)
        total = users.new_zeros((), dtype=torch.float32)
        for part, wanted in zip(users.split(self.sizes.chunk), targets.split(self.sizes.chunk), strict=True):
            total = total + checkpoint(self._loss, part, wanted, pool, negatives, use_reentrant=False)
        return total / len(users)

    def _loss(self, users: Tensor, targets: Tensor, pool: Tensor, negatives: Tensor) -> Tensor:
        """Summed loss of a chunk; as `training.losses.sampled_softmax`, a negative that is the target left out."""
        own = (users * self.items(targets)).sum(-1, keepdim=True)  # (P, 1)
        others = users @ pool.T  # (P, C)
        others = others.masked_fill(targets.unsqueeze(1) == negatives, float("-inf"))  # (P, C)
        every = torch.cat([own, others], dim=1).float()  # (P, 1 + C)
        first = torch.zeros(len(users), dtype=torch.int64, device=users.device)  # (P,)
        return functional.cross_entropy(every, first, reduction="sum")

    def core_parameters(self) -> int:
        """Parameters that are no embedding."""
        return sum(p.numel() for p in self.blocks.parameters())


def step_flops(sizes: Sizes, core_parameters: int) -> float:
    """Floating-point operations of one step, forward and backward, by the model (recomputation is not counted).

    Kaplan et al. (2020), table 1: 6 a parameter and token; attention 6 x T x D a layer and token (12 x T x D, halved by
    the causal mask); we add the loss, 6 x D x (C + 1) a position.
    """
    tokens = sizes.batch * sizes.length
    attention = 6.0 * sizes.length * sizes.width * sizes.layers
    loss = 6.0 * sizes.width * (sizes.negatives + 1)
    return tokens * (6.0 * core_parameters + attention + loss)


def plain_loss(workload: Workload, sequences: Tensor, negatives: Tensor) -> Tensor:
    """The same loss written plainly, in the weights' own precision and without chunks: what the check compares with."""
    x = workload.items(sequences[:, :-1]) + workload.positions  # (B, T, D)
    for block in workload.blocks:
        x = block(x)
    users = workload.norm(x).flatten(0, 1)  # (P, D)
    targets = sequences[:, 1:].flatten()  # (P,)
    own = (users * workload.items(targets)).sum(-1)  # (P,)
    others = (users @ workload.items(negatives).T).masked_fill(targets.unsqueeze(1) == negatives, float("-inf"))
    every = torch.cat([own.unsqueeze(1), others], dim=1)  # (P, 1 + C)
    return (torch.logsumexp(every, dim=1) - own).mean()
