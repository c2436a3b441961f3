"""A user's interactions as the model reads them: three aligned tuples, oldest first."""

from dataclasses import dataclass

from contracts.events import EventKind
from contracts.features import HISTORY_LENGTH
from contracts.ids import ItemId


@dataclass(frozen=True)
class History:
    """Interactions of one user, oldest first, aligned; times are milliseconds since the epoch."""

    items: tuple[ItemId, ...]
    kinds: tuple[EventKind, ...]
    times_ms: tuple[int, ...]

    def newest(self, length: int = HISTORY_LENGTH) -> "History":
        """The newest `length` interactions."""
        if len(self.items) <= length:
            return self
        return History(self.items[-length:], self.kinds[-length:], self.times_ms[-length:])


EMPTY_HISTORY = History((), (), ())
"""A user of whom nothing is known."""
