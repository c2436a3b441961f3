"""How sure a mean over users is: bootstrap intervals of a mean and of two rankers' difference on the same users."""

import numpy as np
from numpy.typing import NDArray

ROUNDS = 1000
_DRAWN_AT_ONCE = 4_000_000


def bootstrap_interval(
    values: NDArray[np.float64], rng: np.random.Generator, rounds: int = ROUNDS
) -> tuple[float, float]:
    """The 95 % interval of the mean of (U,) values by resampling users (Efron 1979, percentile method).

    Given the differences of two rankers user by user it is the paired bootstrap (Sakai 2006, sec. 3.2): what both find
    hard in a user cancels out.
    """
    means = np.empty(rounds)
    step = max(1, _DRAWN_AT_ONCE // max(1, len(values)))
    for start in range(0, rounds, step):
        count = min(step, rounds - start)
        means[start : start + count] = values[rng.integers(0, len(values), size=(count, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
