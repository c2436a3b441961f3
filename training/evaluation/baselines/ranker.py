"""What every baseline is: a name and scores of all items for many histories at once. B users, N items."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from training.data.sequences import UserSequence
from training.evaluation.protocol import TestUser
from training.evaluation.ranking import BlockScorer

Scores = NDArray[np.float32]


class Baseline(Protocol):
    """A ranker that counts or factors what was learned; it knows no content.

    Attributes:
        name: As tables show it.
        chosen: Its settings in words; empty when it has none.
    """

    name: str
    chosen: str

    def scores(self, users: Sequence[UserSequence]) -> Scores:
        """(B, N) float32 for histories, higher is better."""
        ...


def block_scorer(baseline: Baseline) -> BlockScorer:
    """The baseline as `rank_targets` calls it."""

    def scores(users: Sequence[TestUser]) -> Scores:
        return baseline.scores([user.history for user in users])

    return scores
