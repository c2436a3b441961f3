"""Names to integers: item ids to rows of the id embedding, attribute values to hash buckets, kinds and gaps to buckets.

A hash is stable across processes and versions (CRC-32), so that training and serving agree without a table.
"""

import math
import zlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from contracts.events import EventKind
from contracts.ids import ItemId

ATTRIBUTE_BUCKETS = 2048
"""Buckets of all attribute hashes together; bucket 0 means missing."""

OTHER_ATTRIBUTES = 4
"""Attributes beyond category, brand and price that an item keeps, the first by name."""

GAP_BUCKETS = 26
"""Buckets of log2 of a time gap in seconds: from under a second (0) to a year and more (25)."""

KINDS: tuple[EventKind, ...] = (
    EventKind.VIEW,
    EventKind.CLICK,
    EventKind.ADD_TO_CART,
    EventKind.PURCHASE,
    EventKind.RATING,
)
"""Kinds of the sequence, by their embedding row."""

_KIND_ROWS = {kind.value: row for row, kind in enumerate(KINDS)}


def kind_row(kind: str) -> int:
    """The embedding row of an interaction's kind; `len(KINDS)` for a kind not in the table."""
    return _KIND_ROWS.get(kind, len(KINDS))


def gap_buckets(times_ms: Sequence[int], until_ms: int) -> NDArray[np.int64]:
    """Bucket of the time from each interaction to the next one, and from the last one to `until_ms`; shape (T,)."""
    if not times_ms:
        return np.zeros(0, dtype=np.int64)
    following = np.append(np.asarray(times_ms[1:], dtype=np.float64), float(until_ms))
    gaps_s = np.maximum(following - np.asarray(times_ms, dtype=np.float64), 0.0) / 1000.0
    buckets: NDArray[np.int64] = np.minimum(np.log2(gaps_s + 1.0), GAP_BUCKETS - 1).astype(np.int64)
    return buckets


def attribute_bucket(name: str, value: str) -> int:
    """The hash bucket of an attribute's value, from 1; 0 for an empty value."""
    if not value:
        return 0
    return 1 + zlib.crc32(f"{name}={value}".encode()) % (ATTRIBUTE_BUCKETS - 1)


def price_bucket(price_cents: int | None) -> int:
    """The bucket of a price, two buckets per doubling; 0 when the price is unknown."""
    if price_cents is None:
        return 0
    return attribute_bucket("price", str(int(2 * math.log2(price_cents + 1))))


class Vocabulary:
    """Item ids in the order of their admission; an item's index never changes within a line of versions."""

    def __init__(self, item_ids: Iterable[ItemId] = ()) -> None:
        self._ids: list[ItemId] = []
        self._indices: dict[ItemId, int] = {}
        for item_id in item_ids:
            self.admit(item_id)

    def admit(self, item_id: ItemId) -> int:
        """The item's index, a new one when the item was not known."""
        index = self._indices.get(item_id)
        if index is None:
            index = self._indices[item_id] = len(self._ids)
            self._ids.append(item_id)
        return index

    def index(self, item_id: ItemId) -> int | None:
        """The item's index; None for an item never admitted."""
        return self._indices.get(item_id)

    @property
    def ids(self) -> Sequence[ItemId]:
        """All ids by index."""
        return self._ids

    def copy(self) -> "Vocabulary":
        """An independent copy, for a version that admits more items."""
        return Vocabulary(self._ids)

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[ItemId]:
        return iter(self._ids)

    def __contains__(self, item_id: ItemId) -> bool:
        return item_id in self._indices
