"""The item tower: tokens of text, picture, attributes and id, fused by attention pooling into one unit vector.

A missing modality is masked out of the pooling; modality and id dropout in training make missing parts normal.
N items, M modalities, D width, H attention heads.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.model.content import MODALITIES, ContentShape, ItemTokens
from training.model.vocabulary import ATTRIBUTE_BUCKETS

_ID = MODALITIES.index("id")


class AttentionPooling(nn.Module):
    """A learned query per head attends over the present tokens: (N, M, D), (N, M) -> (N, D).

    After Lee et al., Set Transformer (2019), eq. 11 (pooling by multihead attention with one seed); we leave out the
    feed-forward block after it, which the tower has once.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Parameter(torch.randn(heads, width // heads) * 0.02)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)

    def forward(self, tokens: Tensor, present: Tensor) -> Tensor:
        """Pools tokens (N, M, D) float32 under `present` (N, M) bool; every row has at least one token present."""
        n, m, d = tokens.shape
        keys = self.key(tokens).view(n, m, self.heads, d // self.heads)  # (N, M, H, D/H)
        scores = (keys * self.query).sum(-1) * (d // self.heads) ** -0.5  # (N, M, H)
        weights = scores.masked_fill(~present.unsqueeze(-1), float("-inf")).softmax(dim=1)  # (N, M, H)
        values = self.value(tokens).view(n, m, self.heads, d // self.heads)  # (N, M, H, D/H)
        pooled: Tensor = (weights.unsqueeze(-1) * values).sum(dim=1).reshape(n, d)  # (N, D)
        return pooled


class ItemTower(nn.Module):
    """Content and id of items to unit vectors: `ItemTokens` of N items -> (N, D)."""

    def __init__(self, shape: ContentShape, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.text = nn.Linear(max(shape.text_width, 1), width)
        self.picture = nn.Linear(max(shape.picture_width, 1), width)
        self.attributes = nn.Embedding(ATTRIBUTE_BUCKETS, width, padding_idx=0)
        self.ids = nn.Embedding(shape.id_rows + 1, width, padding_idx=0)
        self.modality = nn.Parameter(torch.randn(len(MODALITIES) + 1, width) * 0.02)
        self.gate = nn.Parameter(torch.tensor(0.02))
        self.base = nn.Parameter(torch.zeros(width))
        self.pooling = AttentionPooling(width, heads)
        self.norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        for table in (self.attributes, self.ids):
            nn.init.normal_(table.weight, std=0.1)
            with torch.no_grad():
                table.weight[0].zero_()

    def forward(self, items: ItemTokens) -> Tensor:
        """Unit vectors (N, D) float32 of the items."""
        tokens = self.tokens(items)  # (N, M + 1, D)
        present = self._kept(items.present)  # (N, M)
        present = functional.pad(present, (0, 1), value=True)  # (N, M + 1): the base token is always there
        pooled = self.pooling(tokens, present)  # (N, D)
        own = self.ids(items.ids) * present[:, _ID : _ID + 1]  # (N, D)
        content = pooled + self.feed_forward(self.norm(pooled))  # (N, D)
        fused = self.gate * content + own  # (N, D): what content cannot say of an item
        return functional.normalize(fused, dim=-1)

    def tokens(self, items: ItemTokens) -> Tensor:
        """One token a modality, and the base token last: (N, M + 1, D)."""
        text = self.text(_at_least_one_column(items.text))  # (N, D)
        picture = self.picture(_at_least_one_column(items.picture))  # (N, D)
        attributes = self.attributes(items.attributes)  # (N, A, D)
        others = (items.attributes[:, 3:] > 0).sum(1, keepdim=True).clamp(min=1)  # (N, 1)
        other = attributes[:, 3:].sum(1) / others  # (N, D)
        stacked = torch.stack(
            [
                text,
                picture,
                attributes[:, 0],
                attributes[:, 1],
                attributes[:, 2],
                other,
                self.ids(items.ids),
                self.base.expand_as(text),
            ],
            dim=1,
        )  # (N, M + 1, D)
        return stacked + self.modality

    def _kept(self, present: Tensor) -> Tensor:
        if not self.training or self.dropout == 0.0:
            return present
        return present & (torch.rand(present.shape, device=present.device) >= self.dropout)


def _at_least_one_column(vectors: Tensor) -> Tensor:
    return vectors if vectors.shape[1] else vectors.new_zeros((vectors.shape[0], 1))
