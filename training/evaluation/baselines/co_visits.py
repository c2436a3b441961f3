"""Rankings by the counts of what users touch near each other. B users, N items."""

from collections.abc import Sequence

import numpy as np

from training.co_visits import CoVisitSettings, co_visit_counts, recency_weights
from training.data.sequences import UserSequence, item_counts
from training.evaluation.baselines.popularity import Popularity
from training.evaluation.baselines.ranker import Scores

_TIE = 1e-6


class CoVisits:
    """Counts of item pairs, each weighted by the inverse of its distance; a history's newest items weigh most.

    Item-based neighbours as Sarwar et al. (2001), sec. 3.1, with plain counts and not cosines. Repeats count: an item
    touched twice is its own neighbour, which matters where histories stay in the ranking. Items of equal score, those
    without any co-visit among them, come by popularity.
    """

    name = "co_visits"

    def __init__(
        self, users: Sequence[UserSequence], items: int, asked_ms: int, settings: CoVisitSettings | None = None
    ) -> None:
        self.settings = settings or CoVisitSettings()
        half_life = self.settings.half_life_days
        self.chosen = f"history decay {self.settings.decay}, " + (
            f"half-life of a co-visit {half_life:g} days" if half_life else "co-visits of all times alike"
        )
        self._counts = co_visit_counts(users, items, asked_ms, self.settings.half_life_days)  # (N, N)
        counts = item_counts(users, items)
        self._order = (_TIE * counts / max(1.0, counts.max())).astype(np.float32)  # (N,)

    def scores(self, users: Sequence[UserSequence]) -> Scores:
        """Sum over each history of recency weight times the co-visit counts; (B, N)."""
        weights = recency_weights(users, self._counts.shape[0], self.settings.decay)  # (B, N)
        scores: Scores = (weights @ self._counts).toarray() + self._order
        return scores


class PopularCoVisits:
    """Co-visits times the popularity of the last days: what goes together and is bought now."""

    def __init__(self, popularity: Popularity, co_visits: CoVisits) -> None:
        self.name = f"{popularity.name}_x_{co_visits.name}"
        self.chosen = co_visits.chosen
        self._popularity = popularity
        self._co_visits = co_visits

    def scores(self, users: Sequence[UserSequence]) -> Scores:
        """The product of both scores; (B, N)."""
        return self._co_visits.scores(users) * self._popularity.scores(users)
