"""The slow work on a partition's states, a little at each timer: refilling a store that lost its rows, forgetting.

A mark in the online store says that all rows of a partition are there. It vanishes with them: where it is missing,
every state of the partition is read once and its row offered again, and then the mark is written. A second mark, left
at the refill's beginning, tells whether the store lost its rows meanwhile: then it begins anew. A state not seen for
`keep_days` of event time is forgotten: in the changelog, in the local copy, and in the online store.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec

from contracts.clock import Clock, to_ms, utc_now
from contracts.errors import FeaturesUnavailable
from contracts.marks import mark_of
from contracts.ports import FeatureStore
from streams.feature_writer import FeatureWriter
from streams.metrics import StreamMetrics
from streams.tables import PartitionedTable

log = logging.getLogger(__name__)

State = TypeVar("State", bound=msgspec.Struct)
Result = TypeVar("Result")

MARKS_EVERY_S = 3.0
REFILLED_AT_ONCE = 50
"""Decoded on the event loop: some ten milliseconds, in which no event is folded."""

REFILL_BACKLOG = 2000
FORGET_EVERY_S = 3600.0
LOOKED_AT_ONCE = 2000
DAY_MS = 86_400_000


@dataclass(frozen=True)
class Kept(Generic[State]):
    """What is kept up.

    Attributes:
        name: The table's name, first part of its marks: `users` or `items`.
        table: The states.
        writer: Takes the rows to refill.
        offer: Offers a state's row again: (partition, key, state).
        delete: Deletes rows from the online store and wherever else they are; raises Unavailable.
        keep_days: How long a state is kept after its newest event, as the partition's watermark counts; 0 for ever.
    """

    name: str
    table: PartitionedTable[State]
    writer: "FeatureWriter"  # type: ignore[type-arg]
    offer: Callable[[int, str, State], None]
    delete: Callable[[Sequence[str]], None]
    keep_days: int


@dataclass
class _Place:
    """Where the upkeep of one partition is; None where nothing is under way."""

    looked_s: float = float("-inf")
    refilling: bool = False
    refill_after: str | None = None
    forgot_s: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    forget_after: str | None = None


class Upkeep(Generic[State]):
    """The upkeep of one table's partitions; each partition's is done by its own lane.

    Args:
        kept: The table and what is done with its rows.
        store: Keeps the marks.
        metrics: Counts.
        clock: Now: nothing is forgotten because of an event that is later.
    """

    def __init__(self, kept: Kept[State], store: FeatureStore, metrics: StreamMetrics, clock: Clock = utc_now):
        self._clock = clock
        self._kept = kept
        self._store = store
        self._metrics = metrics
        # A Feast store is one a thread, and takes long to make.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"{kept.name}-upkeep")
        self._places: dict[int, _Place] = {}

    def close(self, partition: int) -> None:
        """The partition is given back."""
        self._places.pop(partition, None)

    async def tick(self, partition: int) -> bool:
        """Does a little; true when more is to be done. Raises Unavailable."""
        place = self._places.setdefault(partition, _Place())
        now_s = asyncio.get_running_loop().time()
        if not place.refilling and now_s - place.looked_s >= MARKS_EVERY_S:
            place.looked_s = now_s
            await self._look(partition, place)
        if place.refill_after is not None:
            self._refill(partition, place)
        elif place.refilling and not self._kept.writer.restoring(partition):
            await self._finish(partition, place)
        if place.forget_after is None and self._kept.keep_days and now_s - place.forgot_s >= FORGET_EVERY_S:
            place.forgot_s, place.forget_after = now_s, ""
        if place.forget_after is not None:
            await self._forget(partition, place)
        return place.refill_after is not None or place.forget_after is not None

    async def _look(self, partition: int, place: _Place) -> None:
        mark = self._mark(partition)
        try:
            there = await self._call(self._store.read_marks, [mark])
            if mark not in there:
                await self._call(self._store.write_mark, self._begun(partition))
        except FeaturesUnavailable as error:
            log.warning("the marks of %s wait: %s", mark, error)
            return
        if mark not in there:
            log.info("the online store has no mark %s: its rows are written again", mark)
            place.refilling, place.refill_after = True, ""

    async def _finish(self, partition: int, place: _Place) -> None:
        mark, begun = self._mark(partition), self._begun(partition)
        place.refilling = False
        if begun in await self._call(self._store.read_marks, [begun]):
            await self._call(self._store.write_mark, mark)
            log.info("all rows of %s are in the online store", mark)
        else:
            place.looked_s = float("-inf")

    def _refill(self, partition: int, place: _Place) -> None:
        if self._kept.writer.restoring(partition) > REFILL_BACKLOG:
            return
        rows = self._kept.table.scan(partition, place.refill_after or "", REFILLED_AT_ONCE)
        for key, state in rows:
            self._kept.offer(partition, key, state)
        self._metrics.refilled.labels(self._kept.name).inc(len(rows))
        place.refill_after = rows[-1][0] if len(rows) == REFILLED_AT_ONCE else None

    async def _forget(self, partition: int, place: _Place) -> None:
        table = self._kept.table
        # An event that bears a wrong clock's time must not make everybody old.
        newest_ms = min(table.progress(partition).watermark_ms, to_ms(self._clock()))
        before_ms = newest_ms - self._kept.keep_days * DAY_MS
        keys, last = table.idle(partition, before_ms, place.forget_after or "", LOOKED_AT_ONCE)
        if keys:
            await self._call(self._kept.delete, keys)
            await table.put(partition, dict.fromkeys(keys))
            self._metrics.forgotten.labels(self._kept.name).inc(len(keys))
            log.info(
                "%s-%d: forgot %d states not seen for %d days",
                self._kept.name,
                partition,
                len(keys),
                self._kept.keep_days,
            )
        place.forget_after = last

    async def _call(self, call: Callable[..., Result], *arguments: object) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)

    def _begun(self, partition: int) -> str:
        return f"{self._mark(partition)}/begun"

    def _mark(self, partition: int) -> str:
        return mark_of(self._kept.name, partition)
