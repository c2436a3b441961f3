"""Interactions as columns, and columns as user sequences: whole logs at once, half a million rows in about a second.

L interactions, U users, N items.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.ids import UserId
from training.data.sequences import Integers, UserSequence

STEP_MS = 1000
"""Time between two rows of a log without times: the order of its rows is all that is known of them."""


@dataclass(frozen=True)
class Interactions:
    """L interactions in the order of their file.

    Attributes:
        user_ids: U ids, sorted; `users` points into them.
        item_ids: Ids of the items touched, sorted; `items` points into them.
        users: (L,) int64.
        items: (L,) int64.
        times_ms: (L,) int64, ms since the epoch; `STEP_MS` apart where the log has no times.
        kinds: (L,) int64 rows of the kind table.
        ratings: (L,) float64, NaN where there is none.
        timed: Whether the times are real.
    """

    user_ids: Sequence[str]
    item_ids: Sequence[str]
    users: Integers
    items: Integers
    times_ms: Integers
    kinds: Integers
    ratings: NDArray[np.float64]
    timed: bool

    def __len__(self) -> int:
        return len(self.users)


def user_sequences(log: Interactions, places: Integers) -> tuple[UserSequence, ...]:
    """One sequence a user, by id; equal times keep the order of the file.

    Args:
        log: The interactions.
        places: (items,) int64: the vocabulary's index of each of `log.item_ids`.
    """
    if not len(log):
        return ()
    order = np.lexsort((log.times_ms, log.users))  # Stable, so equal times keep their rows' order.
    users, times_ms, kinds = log.users[order], log.times_ms[order], log.kinds[order]
    items = places[log.items[order]]
    fresh = np.zeros(len(items), dtype=np.bool_)
    fresh[np.unique(users * (int(items.max()) + 1) + items, return_index=True)[1]] = True
    starts = np.flatnonzero(np.r_[True, users[1:] != users[:-1]])
    ends = [*starts[1:].tolist(), len(users)]
    return tuple(
        UserSequence(UserId(log.user_ids[user]), items[a:b], kinds[a:b], times_ms[a:b], fresh[a:b])
        for user, a, b in zip(users[starts].tolist(), starts.tolist(), ends, strict=True)
    )
