"""How much a trained model is trusted: beside which popularity it ranks, and the weight of what is personal.

The towers learn beside the popularity of all times, and a softmax learns how sure it was of the past, which ranks the
future badly. Both are chosen anew on validation users. U users, N items, D width.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.data.archive_set import TrainingSet
from training.data.head_rows import Moment
from training.data.sequences import item_shares
from training.evaluation.metrics import ndcg
from training.evaluation.protocol import TestUser
from training.evaluation.ranking import rank_targets
from training.head_training import encode_users
from training.model.fusion import MOST_LOG_SCALE, FusionTransformer
from training.model.id_table import SHARED_ROW
from training.snapshot import Snapshot
from training.warm_start import popularity_change, recent_counts

FOREVER_DAYS = 36_500.0

SHARES = (1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12)
"""Shares of the learned scale of the personal part to choose from."""


@dataclass(frozen=True)
class Trust:
    """What is chosen beside the weights.

    Attributes:
        half_life_days: How soon popularity is forgotten.
        share: Of the learned scale of what is personal.
        newcomers: How popular items are taken to be that nobody has touched: a quantile of the known ones.
    """

    half_life_days: float = FOREVER_DAYS
    share: float = 1.0
    newcomers: float = 0.0


class Popularities:
    """What the logs of popularity become when that of all times is exchanged for that of lately, by half-life."""

    def __init__(self, learned: TrainingSet) -> None:
        self.learned = learned
        self.ids = torch.from_numpy(learned.table.id_rows())  # (N,)
        known = torch.from_numpy(item_shares(learned.users, len(learned.table.vocabulary)) > 0)  # (N,)
        self._owned = known & (self.ids != SHARED_ROW)  # (N,)
        self._counts: dict[float, NDArray[np.float64]] = {}

    def counts(self, half_life_days: float) -> NDArray[np.float64]:
        """First touches of each item, (N,), as `recent_counts`."""
        if half_life_days not in self._counts:
            items = len(self.learned.table.vocabulary)
            made = recent_counts(self.learned.users, items, self.learned.data_to_ms, half_life_days)
            self._counts[half_life_days] = made
        return self._counts[half_life_days]

    def bias(self, learned_bias: Tensor, trust: Trust) -> Tensor:
        """The item bias (N,) that ranks, from the one learned beside the popularity of all times.

        Items that nobody has touched have the same one, and so have those without an id row.
        """
        change = popularity_change(self.counts(FOREVER_DAYS), self.counts(trust.half_life_days))  # (N,)
        bias = learned_bias + torch.from_numpy(change).to(learned_bias)
        return torch.where(self._owned, bias, torch.quantile(bias[self._owned], trust.newcomers))


class _Judge:
    """One model's validation ranking under many trusts: items and users are encoded once."""

    def __init__(self, model: FusionTransformer, popularities: Popularities, users: Sequence[TestUser]) -> None:
        self._snapshot = Snapshot.of(model, popularities.learned.table)
        self._popularities = popularities
        self._users = users
        self._places = {id(user): place for place, user in enumerate(users)}
        moments = [Moment(user.history, user.at_ms, (), ()) for user in users]
        with torch.no_grad():
            self._vectors = encode_users(model, self._snapshot.vectors, moments).numpy()  # (U, D)
            self._scale = float(model.scale())

    def quality(self, trust: Trust, without_history: bool) -> float:
        """Mean NDCG@10 under a trust."""
        items = self._scale * trust.share * self._snapshot.vectors.numpy().T  # (D, N)
        bias = self._popularities.bias(self._snapshot.bias, trust).numpy()  # (N,)

        def scores(users: Sequence[TestUser]) -> NDArray[np.float32]:
            logits: NDArray[np.float32] = self._vectors[[self._places[id(user)] for user in users]] @ items + bias
            return logits

        return float(ndcg(rank_targets(scores, self._users, without_history), 10).mean())


def best_trust(
    model: FusionTransformer,
    popularities: Popularities,
    users: Sequence[TestUser],
    without_history: bool,
    trusts: Sequence[Trust],
) -> tuple[float, Trust]:
    """The trust under which a model ranks users best, after its NDCG@10; of equal ones the first."""
    judge = _Judge(copy.deepcopy(model).cpu().eval(), popularities, users)
    judged = [(judge.quality(trust, without_history), trust) for trust in trusts]
    return max(judged, key=lambda pair: pair[0])


def trusting(model: FusionTransformer, popularities: Popularities, trust: Trust) -> FusionTransformer:
    """A copy on the CPU whose popularity is that of lately, and whose personal part is trusted by so much."""
    model = copy.deepcopy(model).cpu().eval()
    with torch.no_grad():
        bias = popularities.bias(model.item_bias(popularities.ids), trust)  # (N,)
        model.bias.weight[popularities.ids, 0] = bias
        model.log_scale.copy_(model.log_scale.clamp(max=MOST_LOG_SCALE) + math.log(trust.share))
    return model
