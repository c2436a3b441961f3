"""Watching the feature store's marks: while one is missing, its rows are being written again after they were lost.

A user without a row may then be a user whose row is not back yet; the answer says so. A store that is away says nothing
of its marks: what was known last stays.
"""

import logging
from collections.abc import Sequence

from contracts.errors import Unavailable
from contracts.marks import ITEMS_MARKS, USERS_MARKS
from contracts.ports import FeatureStore
from services import metrics
from services.bounded import Bounded

log = logging.getLogger(__name__)

EVERY_S = 1.0
"""A loss is noticed within it."""

READ_TIMEOUT_S = 1.0


class RefillWatch:
    """Which partitions' rows are being refilled.

    Args:
        features: The store.
        calls: The thread and the breaker that it is called behind.
    """

    def __init__(self, features: FeatureStore, calls: Bounded):
        self._features = features
        self._calls = calls
        self._missing: frozenset[str] = frozenset()

    @property
    def missing(self) -> Sequence[str]:
        """Marks that were not there at the last reading, in order of name."""
        return sorted(self._missing)

    @property
    def users(self) -> bool:
        """Whether rows of users are being refilled."""
        return not self._missing.isdisjoint(USERS_MARKS)

    async def step(self) -> None:
        """Reads the marks once."""
        wanted = (*USERS_MARKS, *ITEMS_MARKS)
        try:
            found = await self._calls.call(READ_TIMEOUT_S, self._features.read_marks, wanted)
        except Unavailable:
            return
        missing = frozenset(wanted) - found
        if missing and not self._missing:
            log.warning("the feature store lacks %s: its rows are being refilled", ", ".join(sorted(missing)))
        elif self._missing and not missing:
            log.warning("the feature store is whole again")
        self._missing = missing
        metrics.FEATURES_REFILLING.set(len(missing))
