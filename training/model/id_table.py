"""Which ids have an embedding row of their own: a bounded map in which no two ids ever share a row.

Row 0 is everybody else's: an item without a row is told by its content alone. An id earns a row by being seen often
enough and may lose it by not being seen for long, so that a stream of new ids needs no more memory than a table has.

As the collisionless table of Monolith (Liu et al. 2022, sec. 2.2): a filter before admission, and expiry. We differ in
three parts: rows are of one tensor of fixed size, so that a Python dict from id to row is collisionless and a cuckoo
table is not needed; the filter is a sketch that forgets; and an id that is idle keeps its row until another one needs
it. n ids, R rows.
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
_RETIRED_MS = int(np.iinfo(np.int64).min) // 2
COUNTERS_A_ROW = 4
"""Counters of the sketch for each row of the table: it tells ids apart over about four times as many sightings."""


@dataclass(frozen=True)
class IdRule:
    """When an id earns a row, and when it may lose it.

    Attributes:
        admit_after: Sightings, lately, that earn a row; at most `frequency_sketch.MOST_COUNT`.
        expire_after_ms: An id not seen for so long may lose its row; 0 lets the one not seen for the longest go.
    """

    admit_after: int = 2
    expire_after_ms: int = 0


@dataclass(frozen=True)
class Turnover:
    """Rows that changed hands; one that is in both goes from one id to another and must be made anew."""

    lost: dict[ItemId, int]
    gained: dict[ItemId, int]


class IdTable:
    """Ids to rows 1 to R, the id not seen for the longest first to leave. Equal calls give equal tables.

    Args:
        rows: R.
        ids: Those that have a row from the start, by row from 1; counted as seen when a time is first told.
        rule: Admission and expiry; may be replaced.
    """

    def __init__(self, rows: int, ids: Iterable[ItemId] = (), rule: IdRule = IdRule()) -> None:
        self.rows_in_all = rows
        self.rule = rule
        self._rows: OrderedDict[ItemId, int] = OrderedDict((item_id, row) for row, item_id in enumerate(ids, start=1))
        if len(self._rows) > rows:
            raise ValueError(f"found {len(self._rows)} ids for {rows} rows; expected at most as many; admit fewer")
        self._free = list(range(rows, len(self._rows), -1))
        self._seen_ms = np.zeros(rows + 1, dtype=np.int64)
        self._now_ms: int | None = None
        self._sketch = FrequencySketch(COUNTERS_A_ROW * rows)

    def row(self, item_id: ItemId) -> int:
        """The id's row; `SHARED_ROW` for an id without one."""
        return self._rows.get(item_id, SHARED_ROW)

    def rows(self, ids: Iterable[ItemId]) -> NDArray[np.int64]:
        """The rows of n ids, (n,)."""
        get = self._rows.get
        return np.array([get(item_id, SHARED_ROW) for item_id in ids], dtype=np.int64)

    def observe(self, ids: Sequence[ItemId], now_ms: int) -> Turnover:
        """Takes note that ids were seen, repeated ones as often as they stand there, and admits those that earned it.

        Ids of the same call never drive each other out. One that finds no row keeps its count and asks again when it is
        seen again.

        Args:
            ids: In their order, which decides among ids that earn a row at once.
            now_ms: When they were seen, ms since the epoch; a time before the newest one told counts as that one.
        """
        now_ms = self._advanced(now_ms)
        known = list(dict.fromkeys(item_id for item_id in ids if item_id in self._rows))
        for item_id in known:
            self._rows.move_to_end(item_id)
        self._seen_ms[self.rows(known)] = now_ms
        unknown = [item_id for item_id in ids if item_id not in self._rows]
        if not unknown:
            return Turnover({}, {})
        earned = self._sketch.add(unknown) >= self.rule.admit_after
        admitted = dict.fromkeys(item_id for item_id, enough in zip(unknown, earned, strict=True) if enough)
        return self._admit(list(admitted), len(known), now_ms)

    def expire(self, now_ms: int) -> dict[ItemId, int]:
        """Takes the rows of all ids not seen for the rule's time; the ids with the rows they had."""
        now_ms = self._advanced(now_ms)
        lost: dict[ItemId, int] = {}
        while (oldest := self._oldest_idle(now_ms)) is not None:
            lost[oldest] = self._leave(oldest)
        return lost

    def retire(self, ids: Iterable[ItemId]) -> None:
        """Marks ids as the first to leave: idle ones, however lately they were seen."""
        for item_id in ids:
            if item_id in self._rows:
                self._seen_ms[self._rows[item_id]] = _RETIRED_MS
                self._rows.move_to_end(item_id, last=False)

    def retired(self) -> list[ItemId]:
        """The ids marked by `retire`, the first to leave first."""
        return [item_id for item_id, row in self._rows.items() if self._seen_ms[row] == _RETIRED_MS]

    def reprieve(self, ids: Iterable[ItemId]) -> None:
        """Takes a retirement back: as if the ids were seen just now."""
        for item_id in ids:
            if item_id in self._rows:
                self._seen_ms[self._rows[item_id]] = self._now_ms or 0
                self._rows.move_to_end(item_id)

    def release(self, ids: Iterable[ItemId]) -> dict[ItemId, int]:
        """Takes the rows of ids that are gone; those that had one, with it."""
        return {item_id: self._leave(item_id) for item_id in ids if item_id in self._rows}

    @property
    def nbytes(self) -> int:
        """Bytes of times and counters; the dict comes on top, at most R entries long."""
        return int(self._seen_ms.nbytes) + self._sketch.nbytes

    def state(self) -> dict[str, Any]:
        """All that it knows but its rule, for JSON."""
        counters, since_halving = self._sketch.state()
        return {
            "rows_in_all": self.rows_in_all,
            "ids": list(self._rows),
            "rows": list(self._rows.values()),
            "free": list(self._free),
            "seen_ms": self._seen_ms[list(self._rows.values())].tolist(),
            "now_ms": self._now_ms,
            "counters": base64.b64encode(counters).decode() if any(counters) else "",
            "since_halving": since_halving,
        }

    @classmethod
    def restored(cls, state: dict[str, Any], rule: IdRule = IdRule()) -> "IdTable":
        """The table of a `state`.

        Raises:
            KeyError, ValueError: it is no state of a table, or one in which ids share a row.
        """
        made = cls(int(state["rows_in_all"]), rule=rule)
        ids, rows, free = state["ids"], state["rows"], state["free"]
        if len(set(ids)) != len(rows) or sorted([*rows, *free]) != list(range(1, made.rows_in_all + 1)):
            raise ValueError(
                f"found {len(ids)} ids on {len(set(rows))} rows and {len(free)} free ones; expected a row an id, "
                f"and {made.rows_in_all} in all"
            )
        made._rows = OrderedDict(zip(map(ItemId, ids), rows, strict=True))
        made._free = list(free)
        made._seen_ms[rows] = state["seen_ms"]
        made._now_ms = state["now_ms"]
        if state["counters"]:
            made._sketch = FrequencySketch.restored(base64.b64decode(state["counters"]), state["since_halving"])
        return made

    def copy(self) -> "IdTable":
        """An independent copy."""
        made = copy(self)
        made._rows, made._free = self._rows.copy(), list(self._free)
        made._seen_ms, made._sketch = self._seen_ms.copy(), deepcopy(self._sketch)
        return made

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[ItemId]:
        return iter(self._rows)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._rows

    def _advanced(self, now_ms: int) -> int:
        if self._now_ms is None:
            self._seen_ms[:] = np.where(self._seen_ms < 0, self._seen_ms, now_ms)
        self._now_ms = now_ms if self._now_ms is None else max(self._now_ms, now_ms)
        return self._now_ms

    def _admit(self, ids: Sequence[ItemId], just_seen: int, now_ms: int) -> Turnover:
        """Gives rows to ids while there are any; the `just_seen` newest of the table are of the same call and stay."""
        lost: dict[ItemId, int] = {}
        gained: dict[ItemId, int] = {}
        leavable = len(self._rows) - just_seen
        for item_id in ids:
            if not self._free:
                oldest = self._oldest_idle(now_ms) if leavable > len(lost) else None
                if oldest is None:
                    break
                lost[oldest] = self._leave(oldest)
            row = self._free.pop()
            gained[item_id] = self._rows[item_id] = row
            self._seen_ms[row] = now_ms
        return Turnover(lost, gained)

    def _oldest_idle(self, now_ms: int) -> ItemId | None:
        oldest = next(iter(self._rows), None)
        idle = oldest is not None and now_ms - self._seen_ms[self._rows[oldest]] >= self.rule.expire_after_ms
        return oldest if idle else None

    def _leave(self, item_id: ItemId) -> int:
        row = self._rows.pop(item_id)
        self._seen_ms[row] = 0
        self._free.append(row)
        return row
