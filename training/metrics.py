"""Ranking metrics over the full ranking of all items, never a sample of them. One user at a time, then the mean.

NDCG after Jarvelin & Kekalainen (2002) with binary gains; an empty set of targets has no metric and is refused.
"""

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import numpy as np
from numpy.typing import NDArray

from contracts.errors import NotEnoughData


def ndcg_at(ranked: Sequence[int], targets: AbstractSet[int], k: int) -> float:
    """Discounted gain of the first k, over that of the best order possible; from 0 to 1."""
    _refuse_empty(targets)
    gain = sum(1 / math.log2(place + 2) for place, item in enumerate(ranked[:k]) if item in targets)
    best = sum(1 / math.log2(place + 2) for place in range(min(k, len(targets))))
    return gain / best


def recall_at(ranked: Sequence[int], targets: AbstractSet[int], k: int) -> float:
    """Share of the targets among the first k; from 0 to 1."""
    _refuse_empty(targets)
    return sum(item in targets for item in ranked[:k]) / len(targets)


def reciprocal_rank(ranked: Sequence[int], targets: AbstractSet[int]) -> float:
    """One over the place (from 1) of the first target; 0 when none is ranked."""
    _refuse_empty(targets)
    return next((1 / place for place, item in enumerate(ranked, start=1) if item in targets), 0.0)


def best_first(scores: NDArray[np.float32], excluded: NDArray[np.int64], k: int) -> list[int]:
    """Indices of the k best of (N,) scores without the excluded ones; ties by index, so that a rerun is equal."""
    allowed = scores.astype(np.float64, copy=True)
    allowed[excluded] = -np.inf
    order = np.argsort(-allowed, kind="stable")[:k]
    return [int(index) for index in order if np.isfinite(allowed[index])]


def bootstrap_interval(
    differences: NDArray[np.float64], rng: np.random.Generator, rounds: int = 1000
) -> tuple[float, float]:
    """The 95 % interval of the mean by resampling users (Efron 1979, percentile method); differences are (U,)."""
    draws = rng.integers(0, len(differences), size=(rounds, len(differences)))
    low, high = np.quantile(differences[draws].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _refuse_empty(targets: AbstractSet[int]) -> None:
    if not targets:
        raise NotEnoughData("found a user without targets; expected at least one; leave such users out of the mean")
