"""Implicit-feedback matrix factorisation by alternating least squares, from the package `implicit`.

Hu, Koren & Volinsky (2008), eq. 3: confidence 1 + alpha * touches. A history's factors are solved anew against the item
factors (their eq. 4), so that users who were not in the training are ranked for too. B users, N items, F factors.
"""

import os
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy import sparse

from training.co_visits import recency_weights
from training.data.sequences import UserSequence
from training.evaluation.baselines.ranker import Scores

ITERATIONS = 15


@dataclass(frozen=True)
class AlsSettings:
    """What is chosen on the validation users."""

    factors: int = 64
    regularization: float = 0.01
    alpha: float = 1.0


class Als:
    """The factorisation of one training."""

    name = "als"

    def __init__(self, users: Sequence[UserSequence], items: int, settings: AlsSettings | None = None) -> None:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # implicit threads over users itself, and warns otherwise
        from implicit.cpu.als import AlternatingLeastSquares

        self.settings = settings or AlsSettings()
        self.chosen = ", ".join(f"{name} {value}" for name, value in asdict(self.settings).items())
        self._items = items
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a BLAS loaded before the variable was set
            self._model = AlternatingLeastSquares(
                factors=min(self.settings.factors, max(1, items - 1)),
                regularization=self.settings.regularization,
                alpha=self.settings.alpha,
                iterations=ITERATIONS,
                num_threads=1,
                random_state=7,
            )
        self._model.fit(_touches(users, items), show_progress=False)

    def scores(self, users: Sequence[UserSequence]) -> Scores:
        """Inner products of solved user factors and item factors; (B, N)."""
        solved = self._model.recalculate_user(np.arange(len(users)), _touches(users, self._items))  # (B, F)
        scores: Scores = np.asarray(solved @ self._model.item_factors.T, dtype=np.float32)
        return scores


def _touches(users: Sequence[UserSequence], items: int) -> sparse.csr_matrix:
    """(B, N) float32 numbers of touches."""
    return sparse.csr_matrix(recency_weights(users, items, decay=1.0))
