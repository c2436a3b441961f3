"""Co-visits of a training set as the exact half of a ranking: `training/model/mixture.py` for whole catalogues at once.

B users, N items.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from training.co_visits import CoVisitSettings, co_visit_counts, recency_weights
from training.data.archive_set import TrainingSet
from training.evaluation.metrics import ndcg
from training.evaluation.protocol import TestUser
from training.evaluation.ranking import BlockScorer, rank_targets
from training.model.mixture import SHARES, mixed_logits

Reals = NDArray[np.float32]

DECAYS = (0.3, 0.5, 0.8, 0.9)
HALF_LIVES_DAYS = (None, 60.0, 14.0)


@dataclass(frozen=True)
class Mixing:
    """What is chosen: how co-visits are counted, and their share of the probability."""

    counted: CoVisitSettings = field(default_factory=CoVisitSettings)
    share: float = 0.0


@dataclass(frozen=True)
class Neighbours:
    """How often the items of what was learned were touched near each other, and their share of the ranking."""

    counts: sparse.csr_array
    mixing: Mixing

    @classmethod
    def of(cls, learned: TrainingSet, asked_ms: int, mixing: Mixing) -> "Neighbours":
        """Counts the co-visits of a training set, as they weigh at a time."""
        items, half_life_days = len(learned.table.vocabulary), mixing.counted.half_life_days
        return cls(co_visit_counts(learned.users, items, asked_ms, half_life_days), mixing)

    def near(self, users: Sequence[TestUser]) -> Reals:
        """Co-visits of all items with each history, recent interactions first: (B, N) float32."""
        weights = recency_weights([user.history for user in users], self.counts.shape[0], self.mixing.counted.decay)
        near: Reals = (weights @ self.counts).toarray()
        return near

    def mixed(self, towers: BlockScorer) -> BlockScorer:
        """The towers' logits mixed with the counts."""
        if self.mixing.share == 0.0:
            return towers
        return lambda users: mixed_logits(towers(users), self.near(users), self.mixing.share)


def chosen_mixing(
    learned: TrainingSet, asked_ms: int, towers: BlockScorer, users: Sequence[TestUser], without_history: bool
) -> Mixing:
    """The mixing that ranks validation users best by NDCG@10: first how to count, by the counts alone; then the share.

    Args:
        learned: What the counts may know.
        asked_ms: When the users are asked for, ms since the epoch.
        towers: The towers' logits.
        users: Validation users.
        without_history: As `rank_targets`.
    """

    def quality(scorer: BlockScorer) -> float:
        return float(ndcg(rank_targets(scorer, users, without_history), 10).mean())

    def alone(counted: CoVisitSettings) -> float:
        return quality(Neighbours.of(learned, asked_ms, Mixing(counted)).near)

    settings = [CoVisitSettings(decay, half_life) for half_life, decay in product(HALF_LIVES_DAYS, DECAYS)]
    best = Neighbours.of(learned, asked_ms, Mixing(max(settings, key=alone)))

    def together(share: float) -> float:
        return quality(replace(best, mixing=replace(best.mixing, share=share)).mixed(towers))

    return replace(best.mixing, share=max(SHARES, key=together))
