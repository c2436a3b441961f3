"""Popularity, of all time or of the last days: the same ranking for everyone."""

from collections.abc import Sequence

import numpy as np

from training.data.sequences import UserSequence, item_counts
from training.evaluation.baselines.ranker import Scores

DAY_MS = 86_400_000


class Popularity:
    """Interactions of each item, of all time or of the `days` before `asked_ms`."""

    chosen = ""

    def __init__(self, users: Sequence[UserSequence], items: int, asked_ms: int, days: int | None = None) -> None:
        self.name = "popularity" if days is None else f"popularity_{days}d"
        if days is not None:
            since_ms = asked_ms - days * DAY_MS
            users = [user.part(len(user.before(since_ms)), len(user)) for user in users]
        self._counts = item_counts(users, items).astype(np.float32)  # (N,)

    def scores(self, users: Sequence[UserSequence]) -> Scores:
        """The same counts for every user; (B, N)."""
        return np.broadcast_to(self._counts, (len(users), len(self._counts)))
