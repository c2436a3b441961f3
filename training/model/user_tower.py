"""The user tower: causal blocks over interactions, each told with the decayed mean of the items so far.

Before anything is learned a user's vector is that of the items touched, the last one most: the input and output maps
start as the identity. Unit item vectors are scaled by the root of D, so that they outweigh the other inputs.

Sequences are right-padded: under a causal mask padding can influence no earlier position, so padded equals unpadded.
B users, T interactions (at most the history length), D width. Position 0 of the output is the learned start token's.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from contracts.features import HISTORY_LENGTH
from training.model.blocks import BlockKind, make_block
from training.model.vocabulary import GAP_BUCKETS, KINDS


class UserTower(nn.Module):
    """Interactions to unit user vectors, one for the start and one after each interaction."""

    def __init__(self, width: int, layers: int, heads: int, dropout: float, block: BlockKind) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.randn(width) * 0.02)
        self.item = nn.Linear(width, width)
        self.kind = nn.Embedding(len(KINDS) + 1, width)
        self.gap = nn.Embedding(GAP_BUCKETS, width)
        self.position = nn.Embedding(HISTORY_LENGTH + 1, width)
        for table in (self.kind, self.gap, self.position):
            nn.init.normal_(table.weight, std=0.02)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(make_block(block, width, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, width)
        for layer in (self.item, self.out):
            nn.init.eye_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.decay = nn.Parameter(torch.tensor(1.0))
        self.recent = nn.Parameter(torch.tensor(1.0))

    def forward(self, items: Tensor, kinds: Tensor, gaps: Tensor) -> Tensor:
        """User vectors of all prefixes.

        Args:
            items: (B, T, D) float32 item vectors, oldest first, right-padded with anything.
            kinds: (B, T) int64 rows of the kind embedding.
            gaps: (B, T) int64 buckets of the time to the next interaction (to now for the last one).

        Returns:
            (B, T + 1, D) float32 of unit length; position t is the user after t interactions.
        """
        b, t, d = items.shape
        told = (self.item(items) + self.recent * self._recent(items)) * d**0.5  # (B, T, D)
        steps = told + self.kind(kinds) + self.gap(gaps)  # (B, T, D)
        x = torch.cat([self.start.expand(b, 1, d), steps], dim=1)  # (B, T + 1, D)
        x = self.dropout(x + self.position.weight[: t + 1])  # (B, T + 1, D)
        for block in self.blocks:
            x = block(x)
        return functional.normalize(self.out(self.norm(x)), dim=-1, eps=1e-6)

    def _recent(self, items: Tensor) -> Tensor:
        """The decayed mean of the items so far at each position, (B, T, D): what the user likes, beside the last.

        As the item-similarity half of FISM (Kabbur et al. 2013, eq. 3); we weigh by recency, with a learned decay.
        """
        t = items.shape[1]
        ages = torch.arange(t, device=items.device).view(t, 1) - torch.arange(t, device=items.device)  # (T, T)
        weights = torch.where(ages >= 0, torch.sigmoid(self.decay) ** ages.clamp(min=0), 0.0)  # (T, T)
        return (weights / weights.sum(1, keepdim=True).clamp(min=1e-6)) @ items  # (B, T, D)
