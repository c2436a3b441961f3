"""NDCG of users that a protocol keeps for choosing settings, by the towers alone, all items ranked.

U users, N items, D width.
"""

from collections.abc import Sequence

import numpy as np
import torch

from training.data.histories import Histories, frozen_users
from training.evaluation.metrics import best_first, ndcg_at
from training.evaluation.protocol import TestUser
from training.model.content import ContentTable
from training.model.fusion import FusionTransformer
from training.snapshot import Snapshot

DEPTH = 10
MOST_USERS = 2000
_USERS_A_STEP = 256


class HeldOutUsers:
    """Users with what they did next.

    Args:
        users: At most `MOST_USERS` of them are ranked, evenly chosen: each costs a ranking of all items.
        table: Content of all items.
        without_history: Whether items of a history are left out of its ranking.
    """

    def __init__(self, users: Sequence[TestUser], table: ContentTable, *, without_history: bool) -> None:
        every = -(-len(users) // MOST_USERS) if users else 1
        self._users = list(users[::every])
        self._table = table
        self._without_history = without_history
        self._histories = Histories.of([(user.history, user.at_ms) for user in self._users])

    def __len__(self) -> int:
        return len(self._users)

    def ndcg(self, model: FusionTransformer) -> float:
        """Mean NDCG@10 of a model on the CPU, which is left in evaluation mode."""
        snapshot = Snapshot.of(model, self._table)
        return self.ndcg_of(snapshot, frozen_users(model, snapshot.vectors, self._histories))

    def ndcg_of(self, snapshot: Snapshot, vectors: torch.Tensor) -> float:
        """Mean NDCG@10 of user vectors (U, D) that were made by other means, against the snapshot's items."""
        figures = []
        with torch.no_grad():
            scale = float(snapshot.model.scale())
            for start in range(0, len(self._users), _USERS_A_STEP):
                part = vectors[start : start + _USERS_A_STEP]
                logits = (scale * part @ snapshot.vectors.T + snapshot.bias).numpy()  # (256, N)
                for user, row in zip(self._users[start : start + _USERS_A_STEP], logits, strict=True):
                    excluded = user.history.items if self._without_history else np.zeros(0, dtype=np.int64)
                    figures.append(ndcg_at(best_first(row, excluded, DEPTH), user.targets, DEPTH))
        return float(np.mean(figures))

    @property
    def histories(self) -> Histories:
        """The users' histories, in order."""
        return self._histories
