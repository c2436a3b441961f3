"""How well the towers foresee the interactions after their cut: what tells training when to stop. N items, D width."""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from training.data.archive_set import TrainingSet
from training.data.head_rows import Moment
from training.evaluation.metrics import best_first, ndcg_at
from training.head_training import encode_users
from training.model.fusion import FusionTransformer
from training.snapshot import Snapshot

MOST_USERS = 2000
DEPTH = 20


class Validation:
    """Users with a history before the cut and new items after it.

    Args:
        training_set: Interactions on both sides of the cut.
        cut_ms: The cut, ms since the epoch.
    """

    def __init__(self, training_set: TrainingSet, cut_ms: int) -> None:
        self._table = training_set.table
        self._moments: list[Moment] = []
        self._targets: list[frozenset[int]] = []
        for user in training_set.users[:MOST_USERS]:
            history = user.before(cut_ms)
            new = user.items[len(history) :][user.fresh[len(history) :]]
            if len(history) and len(new):
                self._moments.append(Moment(history, cut_ms, (), ()))
                self._targets.append(frozenset(new.tolist()))

    def loss(self, model: FusionTransformer) -> float:
        """One less the mean NDCG@`DEPTH` of the users' new items, all items ranked; NaN without such users."""
        return self.losses(model, (1.0,))[1.0]

    def losses(self, model: FusionTransformer, factors: Sequence[float]) -> dict[float, float]:
        """The `loss` for each factor of the retrieval scale."""
        if not self._moments:
            return dict.fromkeys(factors, float("nan"))
        model = copy.deepcopy(model).cpu()
        snapshot = Snapshot.of(model, self._table)
        with torch.no_grad():
            users = encode_users(model, snapshot.vectors, self._moments)  # (U, D)
            match = (model.scale() * users @ snapshot.vectors.T).numpy()  # (U, N)
        bias = snapshot.bias.numpy()  # (N,)
        return {factor: self._loss(factor * match + bias) for factor in factors}

    def _loss(self, logits: NDArray[np.float32]) -> float:
        figures = [
            ndcg_at(best_first(row, moment.user.items, DEPTH), targets, DEPTH)
            for row, moment, targets in zip(logits, self._moments, self._targets, strict=True)
        ]
        return 1.0 - float(np.mean(figures))
