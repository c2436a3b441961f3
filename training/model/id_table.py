"""Which ids have an embedding row of their own: a bounded map in which no two ids ever share a row.

Row 0 is everybody else's: an item without a row is told by its content alone. An id earns a row by being seen often
enough, and the one not seen for the longest gives its row up when another one needs it, so that a stream of new ids
needs no more memory than a table has.

As the collisionless table of Monolith (Liu et al. 2022, sec. 2.2): a filter before admission, and stale ids leave. We
differ in three parts: rows are of one tensor of fixed size, so that a Python dict from id to row is collisionless and a
cuckoo table is not needed; the filter is a sketch that forgets; and there is no time after which an id is stale, since
a row that nobody else needs costs nothing. n ids, R rows.
"""

import base64
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.ids import ItemId
from training.model.frequency_sketch import FrequencySketch

SHARED_ROW = 0
ADMIT_AFTER = 2
COUNTERS_A_ROW = 4
"""Counters of the sketch for each row of the table: it tells ids apart over about four times as many sightings."""


@dataclass(frozen=True)
class Turnover:
    """Rows that changed hands; one that is in both goes from one id to another and must be made anew."""

    lost: dict[ItemId, int]
    gained: dict[ItemId, int]


class IdTable:
    """Ids to rows 1 to R, the id not seen for the longest first to leave. Equal calls give equal tables.

    Args:
        rows: R.
        ids: Those that have a row from the start, by row from 1; the first of them is the first to leave.
        admit_after: Sightings, lately, that earn a row; at most `frequency_sketch.MOST_COUNT`; may be replaced.
    """

    def __init__(self, rows: int, ids: Iterable[ItemId] = (), admit_after: int = ADMIT_AFTER) -> None:
        self.rows_in_all = rows
        self.admit_after = admit_after
        self._rows: OrderedDict[ItemId, int] = OrderedDict((item_id, row) for row, item_id in enumerate(ids, start=1))
        if len(self._rows) > rows:
            raise ValueError(f"found {len(self._rows)} ids for {rows} rows; expected at most as many; admit fewer")
        self._free = list(range(rows, len(self._rows), -1))
        self._retired: set[ItemId] = set()
        self._sketch = FrequencySketch(COUNTERS_A_ROW * rows)

    def row(self, item_id: ItemId) -> int:
        """The id's row; `SHARED_ROW` for an id without one."""
        return self._rows.get(item_id, SHARED_ROW)

    def rows(self, ids: Iterable[ItemId]) -> NDArray[np.int64]:
        """The rows of n ids, (n,)."""
        get = self._rows.get
        return np.array([get(item_id, SHARED_ROW) for item_id in ids], dtype=np.int64)

    def observe(self, ids: Sequence[ItemId]) -> Turnover:
        """Takes note that ids were seen, repeated ones as often as they stand there, and admits those that earned it.

        Ids of the same call never drive each other out, but for retired ones, which stay the first to leave. One that
        finds no row keeps its count and asks again when it is seen again.

        Args:
            ids: In their order, which decides among ids that earn a row at once.
        """
        known = dict.fromkeys(item_id for item_id in ids if item_id in self._rows and item_id not in self._retired)
        for item_id in known:
            self._rows.move_to_end(item_id)
        unknown = [item_id for item_id in ids if item_id not in self._rows]
        if not unknown:
            return Turnover({}, {})
        earned = self._sketch.add(unknown) >= self.admit_after
        admitted = dict.fromkeys(item_id for item_id, enough in zip(unknown, earned, strict=True) if enough)
        return self._admit(list(admitted), len(known))

    def retire(self, ids: Iterable[ItemId]) -> None:
        """Makes ids the first to leave, however lately they were seen, until `reprieve`."""
        for item_id in ids:
            if item_id in self._rows:
                self._retired.add(item_id)
                self._rows.move_to_end(item_id, last=False)

    def retired(self) -> list[ItemId]:
        """The ids with a row that were retired, the first to leave first."""
        return [item_id for item_id in self._rows if item_id in self._retired]

    def reprieve(self, ids: Iterable[ItemId]) -> None:
        """Takes a retirement back: as if the ids were seen just now."""
        for item_id in ids:
            if item_id in self._rows:
                self._retired.discard(item_id)
                self._rows.move_to_end(item_id)

    def release(self, ids: Iterable[ItemId]) -> dict[ItemId, int]:
        """Takes the rows of ids that are gone; those that had one, with it."""
        return {item_id: self._leave(item_id) for item_id in ids if item_id in self._rows}

    @property
    def nbytes(self) -> int:
        """Bytes of the counters; the dict comes on top, at most R entries long."""
        return self._sketch.nbytes

    def state(self) -> dict[str, Any]:
        """All that it knows but `admit_after`, for JSON."""
        counters, since_halving = self._sketch.state()
        return {
            "rows_in_all": self.rows_in_all,
            "ids": list(self._rows),
            "rows": list(self._rows.values()),
            "free": list(self._free),
            "retired": self.retired(),
            "counters": base64.b64encode(counters).decode() if any(counters) else "",
            "since_halving": since_halving,
        }

    @classmethod
    def restored(cls, state: dict[str, Any], admit_after: int = ADMIT_AFTER) -> "IdTable":
        """The table of a `state`.

        Raises:
            KeyError, ValueError: it is no state of a table, or one in which ids share a row.
        """
        made = cls(int(state["rows_in_all"]), admit_after=admit_after)
        ids, rows, free = state["ids"], state["rows"], state["free"]
        if len(set(ids)) != len(rows) or sorted([*rows, *free]) != list(range(1, made.rows_in_all + 1)):
            raise ValueError(
                f"found {len(ids)} ids on {len(set(rows))} rows and {len(free)} free ones; expected a row an id, "
                f"and {made.rows_in_all} in all"
            )
        made._rows = OrderedDict(zip(map(ItemId, ids), rows, strict=True))
        made._free = list(free)
        made._retired = set(made._rows) & set(state["retired"])
        if state["counters"]:
            made._sketch = FrequencySketch.restored(base64.b64decode(state["counters"]), state["since_halving"])
        return made

    def copy(self) -> "IdTable":
        """An independent copy."""
        made = copy(self)
        made._rows, made._free = self._rows.copy(), list(self._free)
        made._retired, made._sketch = self._retired.copy(), deepcopy(self._sketch)
        return made

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[ItemId]:
        return iter(self._rows)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._rows

    def _admit(self, ids: Sequence[ItemId], just_seen: int) -> Turnover:
        """Gives rows to ids while there are any; the `just_seen` newest of the table are of the same call and stay."""
        lost: dict[ItemId, int] = {}
        gained: dict[ItemId, int] = {}
        leavable = len(self._rows) - just_seen
        for item_id in ids:
            if not self._free:
                if len(lost) == leavable:
                    break
                oldest = next(iter(self._rows))
                lost[oldest] = self._leave(oldest)
            row = self._free.pop()
            gained[item_id] = self._rows[item_id] = row
        return Turnover(lost, gained)

    def _leave(self, item_id: ItemId) -> int:
        row = self._rows.pop(item_id)
        self._retired.discard(item_id)
        self._free.append(row)
        return row
