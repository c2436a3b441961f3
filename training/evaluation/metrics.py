"""What a full ranking is worth, user by user, and what probabilities are worth. Never a sample of the items.

Ranks are places from 1. U users, P pairs of a user and a target, K depth, S observations of a probability, N items.
"""

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import numpy as np
from numpy.typing import NDArray

from contracts.errors import NotEnoughData
from training.evaluation.ranking import Integers, Ranking, Reals

BINS = 15
"""Bins of the calibration error, as Guo et al. (2017), sec. 2 and table 1."""


def ndcg(ranking: Ranking, k: int) -> Reals:
    """(U,) discounted gain of the first k places over that of the best order; 0 to 1.

    Jarvelin & Kekalainen (2002), eq. 2 and 4, with binary gains and log2(place + 1) as discount.
    """
    gains = np.where(ranking.rank <= k, 1.0 / np.log2(ranking.rank + 1.0), 0.0)  # (P,)
    ideal = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(1, k + 1) + 1.0))])
    best: Reals = ideal[np.minimum(ranking.targets, k)]
    return _summed(ranking, gains) / best


def recall(ranking: Ranking, k: int) -> Reals:
    """(U,) share of the targets in the first k places; with one target the hit rate."""
    return _summed(ranking, ranking.rank <= k) / ranking.targets


def precision(ranking: Ranking, k: int) -> Reals:
    """(U,) share of the first k places that are targets.

    With one target at most 1 / k: tables of session recommenders (Ludewig & Jannach 2018) name the hit rate P@20, which
    is `hit` here.
    """
    return _summed(ranking, ranking.rank <= k) / k


def hit(ranking: Ranking, k: int) -> Reals:
    """(U,) 1 where any target is in the first k places."""
    return (_summed(ranking, ranking.rank <= k) > 0).astype(np.float64)


def reciprocal_rank(ranking: Ranking, k: int | None = None) -> Reals:
    """(U,) one over the place of the first target (Voorhees 1999); 0 when it is beyond place k."""
    first = np.full(len(ranking.targets), np.iinfo(np.int64).max)
    np.minimum.at(first, ranking.owner, ranking.rank)
    return np.where(first <= (k or first), 1.0 / first, 0.0)


def auc(ranking: Ranking) -> Reals:
    """(U,) chance that a target stands above an item that is none; of the user's own candidates, not of a sample.

    Mann & Whitney (1947) U over the number of pairs; ties count as 0 and not 1/2, as everywhere in our ranks.
    """
    others = (ranking.candidates - ranking.targets)[ranking.owner]  # (P,)
    places = _places_among_targets(ranking)
    above = ranking.rank - 1 - places
    share = np.where(others > 0, 1.0 - above / np.maximum(others, 1), 1.0)
    return _summed(ranking, share) / ranking.targets


def coverage(ranking: Ranking, k: int, items: int) -> float:
    """Share of all N items that stand in anyone's first k places (Ge et al. 2010, eq. 2)."""
    shown = np.unique(ranking.best[:, :k])
    return float(np.count_nonzero(shown >= 0) / items)


def novelty(ranking: Ranking, k: int, counts: Reals) -> float:
    """Mean self-information in bits of the first k places: -log2 of the share of interactions that an item has.

    Castells et al. (2011), "Rank and relevance in novelty and diversity metrics", eq. 3; the popularity is that of the
    training interactions, with one added to each count, so that a new item has a finite value.

    Args:
        ranking: What was ranked.
        k: Depth.
        counts: (N,) training interactions of each item.
    """
    bits = -np.log2((counts + 1.0) / (counts.sum() + len(counts)))  # (N,)
    shown = ranking.best[:, :k]
    return float(bits[shown[shown >= 0]].mean())


def log_loss(probabilities: Reals, outcomes: NDArray[np.bool_]) -> float:
    """Mean negative log likelihood of (S,) probabilities of yes-or-no outcomes (S,), in nats; clipped at 1e-7."""
    clipped = np.clip(probabilities, 1e-7, 1.0 - 1e-7)
    return float(-np.where(outcomes, np.log(clipped), np.log1p(-clipped)).mean())


def rmse(predicted: Reals, actual: Reals) -> float:
    """Root of the mean squared error of (S,) ratings, in the ratings' unit.

    Raises:
        NotEnoughData: no rating to compare with.
    """
    if not len(actual):
        raise NotEnoughData("found no ratings to compare with; expected at least one; leave RMSE out of the table")
    return float(np.sqrt(np.mean((predicted - actual) ** 2)))


def reliability(probabilities: Reals, outcomes: NDArray[np.bool_], bins: int = BINS) -> list[tuple[float, float, int]]:
    """Mean probability, share of yes and size of bins of equal mass, by rising probability.

    Equal mass after Nguyen & O'Connor (2015), sec. 4.2, where Guo et al. (2017), eq. 3, have equal width: scores of a
    large catalogue crowd near 0, and bins of equal width there hold nearly everything in one.
    """
    order = np.argsort(probabilities, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return [(float(probabilities[part].mean()), float(outcomes[part].mean()), len(part)) for part in parts]


def calibration_error(probabilities: Reals, outcomes: NDArray[np.bool_], bins: int = BINS) -> float:
    """Expected calibration error: the size-weighted mean gap of the `reliability` bins (Guo et al. 2017, eq. 5)."""
    rows = reliability(probabilities, outcomes, bins)
    return sum(size * abs(mean - share) for mean, share, size in rows) / max(1, len(probabilities))


def ndcg_at(ranked: Sequence[int], targets: AbstractSet[int], k: int) -> float:
    """`ndcg` of one ranked list of items."""
    _refuse_empty(targets)
    gain = sum(1 / math.log2(place + 2) for place, item in enumerate(ranked[:k]) if item in targets)
    best = sum(1 / math.log2(place + 2) for place in range(min(k, len(targets))))
    return gain / best


def best_first(scores: NDArray[np.float32], excluded: Integers, k: int) -> list[int]:
    """Indices of the k best of (N,) scores without the excluded ones; ties by index, so that a rerun is equal."""
    allowed = scores.astype(np.float64, copy=True)
    allowed[excluded] = -np.inf
    order = np.argsort(-allowed, kind="stable")[:k]
    return [int(index) for index in order if np.isfinite(allowed[index])]


def _places_among_targets(ranking: Ranking) -> Integers:
    """(P,) number of the same user's other targets that stand above."""
    order = np.lexsort((ranking.rank, ranking.owner))
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(len(order)) - np.searchsorted(ranking.owner, ranking.owner)
    return places


def _summed(ranking: Ranking, values: NDArray[np.float64] | NDArray[np.bool_]) -> Reals:
    weights = values.astype(np.float64)
    sums: Reals = np.bincount(ranking.owner, weights=weights, minlength=len(ranking.targets)).astype(np.float64)
    return sums


def _refuse_empty(targets: AbstractSet[int]) -> None:
    if not targets:
        raise NotEnoughData("found a user without targets; expected at least one; leave such users out of the mean")
