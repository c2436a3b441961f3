"""Rows for the rating head: a user at a time, an item, and the rating that was given (stars, or any number).

A row knows the user's ratings strictly before its time alone. R rows, T past interactions, N items, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contracts.errors import NotEnoughData
from contracts.features import HISTORY_LENGTH
from training.data.histories import Histories
from training.data.sequences import UserSequence
from training.model.fusion import FusionTransformer
from training.model.user_heads import RatingInputs, taste

ITEM_SHRINKAGE = 10.0
"""Ratings' worth of the mean that an item's average is mixed with; Koren (2008), sec. 2.1, has 25 for Netflix."""

_BATCH = 1024


@dataclass(frozen=True)
class RatedUser:
    """A user's interactions with the rating (L,) float32 of each; NaN where an interaction has none."""

    sequence: UserSequence
    values: NDArray[np.float32]

    def before(self, at_ms: int) -> "RatedUser":
        """The interactions before a time."""
        part = self.sequence.before(at_ms)
        return RatedUser(part, self.values[: len(part)])


@dataclass(frozen=True)
class RatingAverages:
    """Mean rating and each item's shrunken distance from it, (N,) float32, of the ratings that may be known."""

    mean: float
    item_bias: NDArray[np.float32]

    @classmethod
    def of(cls, users: Sequence[RatedUser], items: int) -> "RatingAverages":
        """Averages over users. Koren (2008), sec. 2.1: sum of distances over shrinkage plus count.

        Raises:
            NotEnoughData: there is no rating.
        """
        values = np.concatenate([user.values for user in users] or [np.zeros(0, dtype=np.float32)])
        known = np.isfinite(values)
        if not known.any():
            raise NotEnoughData(f"found no rating among {len(values)} interactions; expected some; collect ratings")
        places = np.concatenate([user.sequence.items for user in users])[known]
        mean = float(values[known].mean())
        distances = np.bincount(places, values[known] - mean, minlength=items)
        bias = distances / (ITEM_SHRINKAGE + np.bincount(places, minlength=items))
        return cls(mean, bias.astype(np.float32))


@dataclass(frozen=True)
class RatingRows:
    """Ratings to learn or to foresee.

    Attributes:
        histories: Interactions before each.
        residuals: (R, T) float32: past ratings' distance from mean and item bias, 0 where not rated.
        residual_sum: (R,) float32 sum over all past ratings, older than the history's too.
        rated: (R,) float32 number of past ratings.
        items: (R,) int64 item indices.
        values: (R,) float32 ratings.
    """

    histories: Histories
    residuals: Tensor
    residual_sum: Tensor
    rated: Tensor
    items: Tensor
    values: Tensor

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True)
class AskedRating:
    """One rating: what was known of the user before it, the item's index, its time and value."""

    history: RatedUser
    item: int
    at_ms: int
    value: float


def rating_rows(asked: Sequence[AskedRating], averages: RatingAverages) -> RatingRows:
    """Rows of the ratings asked for."""
    residuals = np.zeros((len(asked), HISTORY_LENGTH), dtype=np.float32)
    sums, rated = np.zeros(len(asked), dtype=np.float32), np.zeros(len(asked), dtype=np.float32)
    for row, each in enumerate(asked):
        past = each.history
        distances = past.values - averages.mean - averages.item_bias[past.sequence.items]  # (L,)
        known = np.isfinite(distances)
        sums[row], rated[row] = distances[known].sum(), known.sum()
        newest = np.where(known, distances, 0.0)[-HISTORY_LENGTH:]
        residuals[row, : len(newest)] = newest
    return RatingRows(
        Histories.of([(each.history.sequence, each.at_ms) for each in asked]),
        torch.from_numpy(residuals),
        torch.from_numpy(sums),
        torch.from_numpy(rated),
        torch.tensor([each.item for each in asked], dtype=torch.int64),
        torch.tensor([each.value for each in asked], dtype=torch.float32),
    )


def learned_ratings(users: Sequence[RatedUser]) -> list[AskedRating]:
    """Every rating of the users with what was known strictly before it."""
    return [
        AskedRating(user.before(at_ms), int(user.sequence.items[place]), at_ms, float(user.values[place]))
        for user in users
        for place in np.flatnonzero(np.isfinite(user.values)).tolist()
        for at_ms in (int(user.sequence.times_ms[place]),)
    ]


def rating_inputs(
    model: FusionTransformer, vectors: Tensor, ids: Tensor, rows: RatingRows, users: Tensor
) -> RatingInputs:
    """The head's inputs of rows with user vectors (R, D), by item vectors (N, D) and their id rows (N,)."""
    with torch.no_grad():
        tastes = [
            taste(vectors[items], residuals)
            for items, residuals in zip(
                torch.split(rows.histories.items, _BATCH), torch.split(rows.residuals, _BATCH), strict=True
            )
        ]
        items = vectors[rows.items]  # (R, D)
        match = model.pair_logits(users, items, ids[rows.items])  # (R,)
    return RatingInputs(users, items, match, ids[rows.items], torch.cat(tastes), rows.residual_sum, rows.rated)
