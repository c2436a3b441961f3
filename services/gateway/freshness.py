"""The two live figures: sliding windows of the last measurements, and their percentiles."""

from collections import deque

import numpy as np

from contracts.requests import Percentiles

WINDOW = 500


class Freshness:
    """The last `WINDOW` measurements of each figure, in seconds."""

    def __init__(self) -> None:
        self._ranking: deque[float] = deque(maxlen=WINDOW)
        self._weights: deque[float] = deque(maxlen=WINDOW)

    def ranked_after(self, seconds: float) -> None:
        """An event was answered with its features so long after its receipt."""
        self._ranking.append(seconds)

    def weighed_after(self, seconds: float) -> None:
        """An event was answered by a version trained on it so long after its receipt."""
        self._weights.append(seconds)

    def click_to_ranking(self) -> Percentiles:
        """Click to changed ranking."""
        return percentiles(list(self._ranking))

    def click_to_weights(self) -> Percentiles:
        """Click to changed weights."""
        return percentiles(list(self._weights))


def percentiles(seconds: list[float]) -> Percentiles:
    """Percentiles with linear interpolation between measurements; None where nothing was measured."""
    if not seconds:
        return Percentiles(n=0, p50=None, p95=None, p99=None)
    p50, p95, p99 = (float(value) for value in np.percentile(seconds, (50, 95, 99)))
    return Percentiles(n=len(seconds), p50=p50, p95=p95, p99=p99)
