"""The item tower: tokens of text, picture, attributes and id, fused by choice into one unit vector.

A missing modality is masked out of the fusion; modality and id dropout in training make missing parts normal.
N items, M modalities, D width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.model.content import MODALITIES, ContentShape, ItemTokens
from training.model.fusions import FusionKind, make_fusion
from training.model.vocabulary import ATTRIBUTE_BUCKETS

_ID = MODALITIES.index("id")


class ItemTower(nn.Module):
    """Content and id of items to unit vectors: `ItemTokens` of N items -> (N, D)."""

    def __init__(
        self, shape: ContentShape, width: int, heads: int, dropout: float, fusion: FusionKind = FusionKind.ATTENTION
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.text = nn.Linear(max(shape.text_width, 1), width)
        self.picture = nn.Linear(max(shape.picture_width, 1), width)
        self.attributes = nn.Embedding(ATTRIBUTE_BUCKETS, width, padding_idx=0)
        self.ids = nn.Embedding(shape.id_rows + 1, width, padding_idx=0)
        self.modality = nn.Parameter(torch.randn(len(MODALITIES) + 1, width) * 0.02)
        self.gate = nn.Parameter(torch.tensor(0.02))
        self.base = nn.Parameter(torch.zeros(width))
        self.pooling = make_fusion(fusion, len(MODALITIES) + 1, width, heads)
        self.norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        for table, std in ((self.attributes, 0.1), (self.ids, 0.02)):  # ids turn as fast as they are short
            nn.init.normal_(table.weight, std=std)
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

    def begin_open(self) -> None:
        """Lets content through as it is told, until more is learned: tokens are averaged, and nothing is added."""
        for zeroed in self.feed_forward[-1].parameters():
            nn.init.zeros_(zeroed)
        self.pooling.begin_open()

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
        """Presence after dropout; an item keeps its id where it has nothing else to be told by."""
        if not self.training or self.dropout == 0.0:
            return present
        kept = present & (torch.rand(present.shape, device=present.device) >= self.dropout)  # (N, M)
        others = torch.arange(present.shape[1], device=present.device) != _ID  # (M,)
        bare = ~(kept & others).any(1)  # (N,)
        kept[:, _ID] = torch.where(bare, present[:, _ID], kept[:, _ID])
        return kept


def _at_least_one_column(vectors: Tensor) -> Tensor:
    return vectors if vectors.shape[1] else vectors.new_zeros((vectors.shape[0], 1))
