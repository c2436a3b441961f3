"""Item-to-item counts of what users touch near each other. Sparse: catalogues have 37k items.

L interactions of all users, B users, N items.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from training.data.sequences import UserSequence

REACH = 10
"""Two items are co-visited when a user touches them at most this many interactions apart."""

DAY_MS = 86_400_000


@dataclass(frozen=True)
class CoVisitSettings:
    """What is chosen on the validation users.

    Attributes:
        decay: Weight of a history item, to the power of its age in interactions.
        half_life_days: Time in which a co-visit loses half of its weight; None for no loss, as without times.
    """

    decay: float = 0.9
    half_life_days: float | None = None


def co_visit_counts(
    users: Sequence[UserSequence], items: int, asked_ms: int, half_life_days: float | None = None
) -> sparse.csr_array:
    """(N, N) float32 symmetric counts of pairs up to `REACH` apart, weighted by distance and by the pair's age."""
    lengths = np.array([len(user) for user in users], dtype=np.int64)
    flat = np.concatenate([user.items for user in users]) if len(users) else np.zeros(0, dtype=np.int64)  # (L,)
    owner = np.repeat(np.arange(len(users)), lengths)  # (L,)
    fresh = np.ones(len(flat), dtype=np.float32)  # (L,)
    if half_life_days is not None:
        ages_ms = asked_ms - np.concatenate([user.times_ms for user in users])
        fresh = np.exp2(-ages_ms / (half_life_days * DAY_MS)).astype(np.float32)
    total = sparse.csr_array((items, items), dtype=np.float32)
    for distance in range(1, min(REACH, int(lengths.max(initial=1)) - 1) + 1):
        same = owner[:-distance] == owner[distance:]
        pairs = flat[:-distance][same], flat[distance:][same]
        total = total + sparse.csr_array((fresh[distance:][same] / distance, pairs), shape=(items, items))
    return (total + total.T).tocsr()


def recency_weights(users: Sequence[UserSequence], items: int, decay: float) -> sparse.csr_array:
    """(B, N) float32: the decay to the power of each history item's age in interactions, summed over repeats."""
    rows = np.repeat(np.arange(len(users)), [len(user) for user in users])
    ages = [np.arange(len(user) - 1, -1, -1) for user in users]
    values = np.power(decay, np.concatenate(ages) if ages else np.zeros(0)).astype(np.float32)
    columns: NDArray[np.int64] = np.concatenate([user.items for user in users]) if len(users) else np.zeros(0, np.int64)
    return sparse.csr_array((values, (rows, columns)), shape=(len(users), items))
