"""Sums that forget: each contribution halves with every half-life.

Exponential forward decay (Cormode, Shkapenyuk, Srivastava, Xu: "Forward Decay", ICDE 2009, section III): a sum is kept
with its reference time, and both it and a contribution are scaled to the later of the two. So contributions may come in
any order. We differ only in moving the reference time along, which keeps the numbers small.
"""

import math
from collections.abc import Mapping

import msgspec


class Decayed(msgspec.Struct, frozen=True, array_like=True):
    """A decayed sum: its weight as of its reference time (ms since the epoch)."""

    weight: float = 0.0
    at_ms: int = 0


def added(total: Decayed, weight: float, at_ms: int, half_life_ms: int) -> Decayed:
    """The sum with a contribution of `weight` made at `at_ms`."""
    at = max(total.at_ms, at_ms)
    return Decayed(as_of(total, at, half_life_ms) + weight * _share(at - at_ms, half_life_ms), at)


def as_of(total: Decayed, now_ms: int, half_life_ms: int) -> float:
    """The sum's weight at `now_ms`."""
    return total.weight * _share(now_ms - total.at_ms, half_life_ms)


def strongest(totals: Mapping[str, Decayed], now_ms: int, half_life_ms: int, limit: int) -> list[tuple[str, float]]:
    """The `limit` heaviest names with their weights at `now_ms`, heaviest first; names of no weight are left out."""
    weighed = ((name, as_of(total, now_ms, half_life_ms)) for name, total in totals.items())
    return sorted((pair for pair in weighed if pair[1] > 0), key=lambda pair: (-pair[1], pair[0]))[:limit]


def bounded(totals: dict[str, Decayed], now_ms: int, half_life_ms: int, limit: int) -> dict[str, Decayed]:
    """The totals cut to half of `limit` once there are more than `limit`, the furthest from zero staying.

    Cutting to half makes the sort rare: one in `limit / 2` new names.
    """
    if len(totals) <= limit:
        return totals
    order = sorted(totals, key=lambda name: (-abs(as_of(totals[name], now_ms, half_life_ms)), name))
    return {name: totals[name] for name in order[: limit // 2]}


def _share(elapsed_ms: int, half_life_ms: int) -> float:
    return math.exp2(-max(elapsed_ms, 0) / half_life_ms)
