"""A model's item vectors frozen at one moment, and ranking of the whole catalogue by it, as evaluation needs.

N items, D width, F features.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contracts.features import UserFeatures
from contracts.ports import Vectors
from training.model.content import ContentTable
from training.model.features import Candidates, co_visits_of, cross_block, item_block, user_block
from training.model.fusion import FusionTransformer
from training.model.head_weights import HeadWeights
from training.model.history import History
from training.model.mixture import mixed_logits

_ITEMS_A_STEP = 4096


@dataclass(frozen=True)
class Snapshot:
    """A model on the CPU with its item vectors (N, D), id rows (N,) and learned popularity (N,)."""

    model: FusionTransformer
    vectors: Tensor
    ids: Tensor
    bias: Tensor

    @classmethod
    def of(cls, model: FusionTransformer, table: ContentTable) -> "Snapshot":
        """Computes the vectors of all items of the table."""
        model.eval()
        count = len(table.vocabulary)
        parts, ids = [], []
        with torch.no_grad():
            for start in range(0, count, _ITEMS_A_STEP):
                tokens = table.tokens(np.arange(start, min(start + _ITEMS_A_STEP, count)))
                parts.append(model.items(tokens))
                ids.append(tokens.ids)
            every = torch.cat(ids)
            return cls(model, torch.cat(parts), every, model.item_bias(every))

    def ranker(self, candidates: Candidates, at_ms: int) -> "CatalogueRanker":
        """A ranker of all items with their feature rows as of a time."""
        return CatalogueRanker(self, candidates, at_ms)


class CatalogueRanker:
    """Scores of all items for one user after another; the items' own features are computed once."""

    def __init__(self, snapshot: Snapshot, candidates: Candidates, at_ms: int) -> None:
        self._candidates = candidates
        self._at_ms = at_ms
        self._items = snapshot.vectors.numpy()
        self._bias = snapshot.bias.numpy()
        self._scale = float(snapshot.model.scale().detach())
        self._share = float(snapshot.model.neighbour_share)
        self._heads = HeadWeights.of(snapshot.model.heads)
        self._block = item_block(candidates, at_ms)

    def match(self, user: Vectors) -> NDArray[np.float32]:
        """Retrieval logits (N,) of a user vector (D,)."""
        logits: NDArray[np.float32] = self._scale * (self._items @ user) + self._bias
        return logits

    def scores(self, user: Vectors, history: History, row: UserFeatures | None) -> NDArray[np.float32]:
        """Final scores (N,), by the same features and weights as serving."""
        own = user_block(row, self._at_ms)
        features = np.concatenate(
            [
                np.broadcast_to(own, (len(self._block), len(own))),
                self._block,
                cross_block(history, row, self._candidates, self._at_ms),
            ],
            axis=1,
        )
        match = mixed_logits(self.match(user), co_visits_of(features), self._share)
        return self._heads.scores(user, self._items, match, features)
