"""How an item's tokens become one vector, by choice: (N, M, D) tokens and (N, M) presence -> (N, D).

A token that is not present has no influence, and at least one is always present. N items, M modalities, D width,
H heads.
"""

from enum import StrEnum

import torch
from torch import Tensor, nn


class FusionKind(StrEnum):
    """The choice of fusion, by its name in the settings."""

    ATTENTION = "attention"
    GATED = "gated"
    MEAN = "mean"
    CONCATENATION = "concatenation"


class Fusion(nn.Module):
    """What all fusions have in common."""

    def begin_open(self) -> None:
        """Lets tokens through as they are, in equal parts, until more is learned."""
        raise NotImplementedError


class AttentionPooling(Fusion):
    """A learned query per head attends over the present tokens.

    After Lee et al., Set Transformer (2019), eq. 11 (pooling by multihead attention with one seed); we leave out the
    feed-forward block after it, which the tower has once.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Parameter(torch.randn(heads, width // heads) * 0.02)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)

    def begin_open(self) -> None:
        """The values are the tokens themselves; keys drawn at random differ too little to prefer one."""
        as_identity(self.value)

    def forward(self, tokens: Tensor, present: Tensor) -> Tensor:
        """Pools tokens (N, M, D) float32 under `present` (N, M) bool."""
        n, m, d = tokens.shape
        keys = self.key(tokens).view(n, m, self.heads, d // self.heads)  # (N, M, H, D/H)
        scores = (keys * self.query).sum(-1) * (d // self.heads) ** -0.5  # (N, M, H)
        weights = scores.masked_fill(~present.unsqueeze(-1), float("-inf")).softmax(dim=1)  # (N, M, H)
        values = self.value(tokens).view(n, m, self.heads, d // self.heads)  # (N, M, H, D/H)
        pooled: Tensor = (weights.unsqueeze(-1) * values).sum(dim=1).reshape(n, d)  # (N, D)
        return pooled


class GatedFusion(Fusion):
    """A gate of its own for each width of each token, from that token; the gated tokens' mean.

    After Arevalo et al., Gated Multimodal Units (2017), eq. 1-3; we gate each token by itself and not by all of them,
    so that a missing one cannot move another's gate.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, width)
        self.value = nn.Linear(width, width)

    def begin_open(self) -> None:
        """Every gate is half open, and the values are the tokens, but for what the tangent flattens."""
        as_identity(self.value)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def forward(self, tokens: Tensor, present: Tensor) -> Tensor:
        """Fuses tokens (N, M, D) float32 under `present` (N, M) bool."""
        return masked_mean(torch.sigmoid(self.gate(tokens)) * torch.tanh(self.value(tokens)), present)


class MeanFusion(Fusion):
    """The projected mean of the present tokens: the plainest fusion, and the least to learn."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.value = nn.Linear(width, width)

    def begin_open(self) -> None:
        """The mean itself."""
        as_identity(self.value)

    def forward(self, tokens: Tensor, present: Tensor) -> Tensor:
        """Fuses tokens (N, M, D) float32 under `present` (N, M) bool."""
        fused: Tensor = self.value(masked_mean(tokens, present))  # (N, D)
        return fused


class ConcatenationFusion(Fusion):
    """All tokens side by side through one projection, zeros where a token is missing."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.value = nn.Linear(tokens * width, width)

    def begin_open(self) -> None:
        """The sum of the tokens over their number."""
        width = self.value.out_features
        with torch.no_grad():
            tokens = self.value.in_features // width
            self.value.weight.copy_(torch.eye(width).repeat(1, tokens) / tokens)
            self.value.bias.zero_()

    def forward(self, tokens: Tensor, present: Tensor) -> Tensor:
        """Fuses tokens (N, M, D) float32 under `present` (N, M) bool."""
        fused: Tensor = self.value((tokens * present.unsqueeze(-1)).flatten(1))  # (N, D)
        return fused


def as_identity(layer: nn.Linear) -> None:
    """Makes a square layer give what it is given."""
    nn.init.eye_(layer.weight)
    nn.init.zeros_(layer.bias)


def masked_mean(tokens: Tensor, present: Tensor) -> Tensor:
    """Mean over the present tokens: (N, M, D), (N, M) -> (N, D)."""
    kept = present.unsqueeze(-1).to(tokens.dtype)  # (N, M, 1)
    return (tokens * kept).sum(1) / kept.sum(1).clamp(min=1.0)  # (N, D)


def make_fusion(kind: FusionKind, tokens: int, width: int, heads: int) -> Fusion:
    """A fusion of the chosen kind over `tokens` tokens."""
    match kind:
        case FusionKind.GATED:
            return GatedFusion(width)
        case FusionKind.MEAN:
            return MeanFusion(width)
        case FusionKind.CONCATENATION:
            return ConcatenationFusion(tokens, width)
        case _:
            return AttentionPooling(width, heads)
