"""Recency and frequency of a user's purchases, from the sequence alone: what a churn head reads beside the user vector.

Days and counts enter as log(1 + n), so that a head can be nearly linear in them. L interactions, F numbers.
"""

import numpy as np
from numpy.typing import NDArray

from contracts.events import EventKind
from training.model.vocabulary import kind_row

DAY_MS = 86_400_000.0

RECENCY_FEATURES: tuple[str, ...] = (
    "days_since_purchase", "days_since_first", "days_since_any", "purchase_days", "purchases", "items",
    "mean_gap_days", "overdue", "purchase_days_30d", "purchase_days_90d", "once",
)  # fmt: skip
"""Names of the F numbers, in the order of the vector."""

_PURCHASE = kind_row(EventKind.PURCHASE)


def recency_features(
    items: NDArray[np.int64], kinds: NDArray[np.int64], times_ms: NDArray[np.int64], at_ms: int
) -> NDArray[np.float32]:
    """The numbers of one user at a time, (F,) float32 by `RECENCY_FEATURES`.

    Recency and frequency as in Fader, Hardie & Lee, "Counting your customers the easy way" (2005), sec. 2: days with a
    purchase count once, the gap is the mean time between them, and `overdue` is the time since the last one over it. We
    take logarithms and leave the model of the gaps to the head. A user without purchases has zeros for them.

    Args:
        items: (L,) int64 item indices, oldest first.
        kinds: (L,) int64 kind rows.
        times_ms: (L,) int64 ms since the epoch, before `at_ms`.
        at_ms: The time that is asked about, ms since the epoch.
    """
    if not len(times_ms):
        return np.zeros(len(RECENCY_FEATURES), dtype=np.float32)
    ages_days = (at_ms - times_ms) / DAY_MS
    bought = kinds == _PURCHASE
    since_any, since_first = float(ages_days[-1]), float(ages_days[0])
    if not bought.any():
        numbers = [0.0, since_first, since_any, 0, 0, len(np.unique(items)), 0.0, 0.0, 0, 0]
        return np.append(np.log1p(np.array(numbers)), 0.0).astype(np.float32)
    days = np.unique(np.floor(times_ms[bought] / DAY_MS))
    ages = ages_days[bought]
    since = float(ages[-1])
    gap = float((ages[0] - ages[-1]) / (len(days) - 1)) if len(days) > 1 else 0.0
    recent = [len(np.unique(np.floor(ages[ages <= span]))) for span in (30.0, 90.0)]
    numbers = [since, since_first, since_any, len(days), int(bought.sum()), len(np.unique(items)), gap,
               since / (gap + 1.0), *recent]  # fmt: skip
    return np.append(np.log1p(np.maximum(np.array(numbers), 0.0)), float(len(days) == 1)).astype(np.float32)
