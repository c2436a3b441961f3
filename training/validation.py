"""How well the towers foresee the interactions after their cut: what tells training when to stop. N items, D width."""

import copy

import numpy as np
import torch

from training.data.archive_set import TrainingSet
from training.data.head_rows import Moment
from training.head_training import encode_users
from training.model.fusion import FusionTransformer
from training.snapshot import Snapshot

MOST_USERS = 2000


class Validation:
    """Users with a history before the cut and new items after it.

    Args:
        training_set: Interactions on both sides of the cut.
        cut_ms: The cut, ms since the epoch.
    """

    def __init__(self, training_set: TrainingSet, cut_ms: int) -> None:
        self._table = training_set.table
        self._moments: list[Moment] = []
        self._targets: list[np.ndarray] = []
        for user in training_set.users[:MOST_USERS]:
            history = user.before(cut_ms)
            new = user.items[len(history) :][user.fresh[len(history) :]]
            if len(history) and len(new):
                self._moments.append(Moment(history, cut_ms, (), ()))
                self._targets.append(new)

    def loss(self, model: FusionTransformer) -> float:
        """Mean over users of the mean cross-entropy of their new items; NaN without such users."""
        if not self._moments:
            return float("nan")
        model = copy.deepcopy(model).cpu()
        snapshot = Snapshot.of(model, self._table)
        with torch.no_grad():
            users = encode_users(model, snapshot.vectors, self._moments)  # (U, D)
            logs = model.catalogue_logits(users, snapshot.vectors, snapshot.ids).log_softmax(-1)  # (U, N)
        losses = [-float(row[torch.from_numpy(new)].mean()) for row, new in zip(logs, self._targets, strict=True)]
        return float(np.mean(losses))
