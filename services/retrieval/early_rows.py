"""Rows of items that the catalogue does not have: perhaps not yet, for the topics of the log are read side by side.

While the log is read from its beginning every row is kept, for its item may be the last message. Once the catalogue is
whole, a row without an item is nearly always that of a deleted item, touched late by an open tab or a bot: the newest
few are kept, for an item that is just being added.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from contracts.ids import ItemId

Row = TypeVar("Row")

KEPT = 2_000


class EarlyRows(Generic[Row]):
    """Not safe for threads: its owner locks.

    Args:
        kept: How many rows are kept once the catalogue is whole, the newest ones.
        newer: Whether a row, the second, may take the place of the first.
    """

    def __init__(self, kept: int = KEPT, newer: Callable[[Row, Row], bool] = lambda held, row: True):
        self._kept = kept
        self._newer = newer
        self._whole = False
        self._rows: OrderedDict[ItemId, Row] = OrderedDict()

    def put(self, item_id: ItemId, row: Row) -> None:
        """Keeps the row of an item that is not in the catalogue."""
        held = self._rows.get(item_id)
        if held is None or self._newer(held, row):
            self._rows[item_id] = row
        self._rows.move_to_end(item_id)
        self._trim()

    def take(self, item_id: ItemId) -> Row | None:
        """Hands over the item's row, which has come into the catalogue or has left for good; None where it has none."""
        return self._rows.pop(item_id, None)

    def settle(self) -> None:
        """The catalogue is whole: from now on few are kept."""
        self._whole = True
        self._trim()

    def __len__(self) -> int:
        return len(self._rows)

    def _trim(self) -> None:
        while self._whole and len(self._rows) > self._kept:
            self._rows.popitem(last=False)
