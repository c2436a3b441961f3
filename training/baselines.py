"""What the model has to beat: popularity, popularity of the last days, and recency-weighted item co-visit counts.

Each gives (N,) scores for one user from interactions before the cut alone.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.data.sequences import UserSequence

DAY_MS = 86_400_000

CO_VISIT_REACH = 10
"""Two items are co-visited when a user touches them at most this many interactions apart."""

CO_VISIT_DECAY = 0.9
"""Weight of a history item, to the power of its place from the newest."""


class Popularity:
    """Interactions of each item, of all time or of the `days` before the cut."""

    def __init__(self, users: Sequence[UserSequence], items: int, cut_ms: int, days: int | None = None) -> None:
        self.name = "popularity" if days is None else f"popularity_{days}d"
        self._counts = np.zeros(items, dtype=np.float32)
        for user in users:
            recent = user.items if days is None else user.items[user.times_ms >= cut_ms - days * DAY_MS]
            np.add.at(self._counts, recent, 1.0)

    def scores(self, history: UserSequence) -> NDArray[np.float32]:
        """The same counts for every user; (N,)."""
        return self._counts


class CoVisits:
    """Item-to-item counts, each pair weighted by the inverse of its distance; a history's newest items weigh most."""

    name = "co_visits"

    def __init__(self, users: Sequence[UserSequence], items: int) -> None:
        self._counts = np.zeros((items, items), dtype=np.float32)
        for user in users:
            for distance in range(1, min(CO_VISIT_REACH, len(user) - 1) + 1):
                first, second = user.items[:-distance], user.items[distance:]
                np.add.at(self._counts, (first, second), 1 / distance)
                np.add.at(self._counts, (second, first), 1 / distance)
        np.fill_diagonal(self._counts, 0.0)

    def scores(self, history: UserSequence) -> NDArray[np.float32]:
        """Sum over the history of recency weight times the co-visit counts; (N,)."""
        ages = np.arange(len(history) - 1, -1, -1)
        weights = np.power(CO_VISIT_DECAY, ages).astype(np.float32)
        summed: NDArray[np.float32] = weights @ self._counts[history.items]
        return summed
