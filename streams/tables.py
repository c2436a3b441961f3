"""The states of one kind, by key, in the partitions of the topic that they are folded from.

A write goes to the changelog first and, once that has acknowledged, to the local copy together with the changelog's
offset. Opening a partition:

1. the copy is opened; one that is ahead of the changelog, behind what it still keeps, or of another one, is wiped;
2. the changelog is read from the copy's offset to its end; of two states of a key the higher mark wins;
3. a state that a worker wrote after it had lost the partition is overwritten in the changelog by the newer one.

Nothing is decoded at an opening: a state is read when a message needs it.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from contracts.errors import NotOwner, UnknownFormat
from streams.changelog import REBUILT, Changelog, rebuilt
from streams.state_db import Progress, Record, StateDb

log = logging.getLogger(__name__)


State = TypeVar("State", bound=msgspec.Struct)
Key = TypeVar("Key", bound=str)

REPAIRED_AT_ONCE = 500


@dataclass
class _Slot:
    """One open partition.

    `read` is true once the changelog was read to its end; `unwritten` is acknowledged and not on the local disk yet.
    """

    db: StateDb
    read: bool = False
    unwritten: list[Record] = field(default_factory=list)
    unwritten_to: int = -1


@dataclass(frozen=True)
class Marks(Generic[State]):
    """How a table reads a state's times: when its oldest open window began, and its newest event."""

    opened_ms: Callable[[State], int | None]
    seen_ms: Callable[[State], int]


class PartitionedTable(Generic[State]):
    """The table; each partition is for one caller at a time.

    Args:
        name: For messages.
        state: The state's type, whose tag is its format version.
        directory: Where the copies are; for this worker alone.
        changelog: The changelog.
        marks: How a state's times are read.
    """

    def __init__(self, name: str, state: type[State], directory: Path, changelog: Changelog, marks: Marks[State]):
        self._name = name
        self._directory = directory
        self._changelog = changelog
        self._marks = marks
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(tuple[int, state])  # type: ignore[valid-type]
        self._slots: dict[int, _Slot] = {}

    async def open(self, partition: int, restored: Callable[[int], None] = lambda _: None) -> None:
        """Steps 1 to 3 of the module.

        Args:
            partition: The partition.
            restored: Called with the count of changelog messages applied so far.

        Raises:
            LogUnavailable, StateUnavailable: open it again later.
            UnknownFormat: the changelog is of another version.
        """
        slot = self._slots.get(partition)
        if slot is None:
            path = self._directory / f"{self._name}-{partition}.sqlite"
            slot = _Slot(await asyncio.to_thread(StateDb, path))
            self._slots[partition] = slot
        slot.read = False
        begin, end = await self._changelog.bounds(partition)  # 1
        known = slot.db.progress
        another = known.applied >= 0 and known.origin != await self._changelog.origin(partition)
        if another or not begin <= known.applied + 1 <= end:
            if known.applied >= 0:
                log.warning(
                    "%s-%d: the copy is at %d, the changelog holds %d to %d%s; reading it anew",
                    self._name, partition, known.applied, begin, end - 1, " of a rebuild" if another else "",
                )  # fmt: skip
            await asyncio.to_thread(slot.db.wipe)
        stale = await self._follow(partition, slot, max(begin, slot.db.progress.applied + 1), end, restored)  # 2
        await self._repair(partition, slot, stale)  # 3
        slot.read = True

    def close(self, partition: int) -> None:
        """Closes a partition; what was acknowledged and not written is read from the changelog at the next opening."""
        slot = self._slots.pop(partition, None)
        if slot is not None:
            slot.db.close()

    def opened(self, partition: int) -> bool:
        """Whether the partition is open and its copy whole."""
        return partition in self._slots and self._slots[partition].read

    async def settle(self, partition: int) -> None:
        """Writes what a full disk has kept from the local copy, and reads a damaged one anew.

        Raises StateUnavailable, LogUnavailable.
        """
        slot = self._slot(partition)
        if slot.db.damaged:
            slot.read, slot.unwritten = False, []
            await asyncio.to_thread(slot.db.wipe)
        if not slot.read:
            await self.open(partition)
        elif slot.unwritten:
            await self._write(slot)

    def get(self, partition: int, key: str) -> State | None:
        """The state of a key; None for a key never written in this partition.

        Raises:
            StateUnavailable: the disk does not answer.
            UnknownFormat: the state is of another version.
        """
        raw = self._slot(partition).db.get(key.encode())
        return None if raw is None else self._decoded(raw)

    async def put(
        self, partition: int, states: Mapping[Key, State | None], mark: int | None = None, seen_ms: int = 0
    ) -> None:
        """Writes the states: to the changelog, and once that is acknowledged, locally; None forgets a key.

        Args:
            partition: The partition.
            states: By key.
            mark: Offset in the source partition up to which they are folded; None for that of the last write.
            seen_ms: The newest event time of the batch, of whatever kind the event is.

        Raises:
            LogUnavailable: the changelog did not acknowledge all; fold the batch again.
            StateUnavailable: the local disk is full; `settle` writes them.
            NotOwner: another worker has written newer states of these keys.
        """
        if not states:
            return
        slot = self._slot(partition)
        folded_to = slot.db.progress.mark if mark is None else mark
        records = [self._record(partition, key, state, folded_to, seen_ms) for key, state in states.items()]
        offsets = await self._changelog.append(partition, records)
        first = slot.db.progress.applied + 1
        if offsets == list(range(first, first + len(offsets))):
            slot.unwritten, slot.unwritten_to = records, offsets[-1]
            await self._write(slot)
        else:
            await self._meet(partition, slot, max(offsets), {record.key: record.mark for record in records})

    def progress(self, partition: int) -> Progress:
        """How far the partition's copy is."""
        return self._slot(partition).db.progress

    def due(self, partition: int, until_ms: int, limit: int) -> Iterator[str]:
        """Keys with a window that began at or before `until_ms`, the oldest first; read `limit` at a time."""
        after = (-(1 << 62), b"")
        while rows := self._slot(partition).db.due(until_ms, after, limit):
            yield from (key.decode() for _, key in rows)
            if len(rows) < limit:
                return
            after = rows[-1]

    def scan(self, partition: int, after: str, limit: int) -> list[tuple[str, State]]:
        """The next states by key behind `after`."""
        return [(key.decode(), self._decoded(raw)) for key, raw in self._slot(partition).db.scan(after.encode(), limit)]

    def idle(self, partition: int, before_ms: int, after: str, limit: int) -> tuple[list[str], str | None]:
        """Of the next `limit` keys those not seen since `before_ms`, and the key to go on behind; None at the end."""
        keys, last = self._slot(partition).db.idle(before_ms, after.encode(), limit)
        return [key.decode() for key in keys], None if last is None else last.decode()

    def open_windows(self, partition: int | None = None) -> int:
        """States with an open window, of one open partition or of all."""
        slots = list(self._slots.values()) if partition is None else [self._slot(partition)]
        return sum(slot.db.open_windows() for slot in slots)

    async def _follow(
        self, partition: int, slot: _Slot, start: int, end: int, restored: Callable[[int], None]
    ) -> list[bytes]:
        """Applies the changelog from `start` to before `end`; returns keys of states that were not the newest."""
        stale: list[bytes] = []
        count = 0
        async for batch, last in self._changelog.read(partition, start, end):
            records = [record for _, record in batch if record.key != REBUILT]
            stale += await asyncio.to_thread(slot.db.apply, records, last, rebuilt(batch))
            count += len(batch)
            restored(count)
        if count:
            log.info("%s-%d: %d changelog messages applied, now at %d", self._name, partition, count, end - 1)
        return stale

    async def _meet(self, partition: int, slot: _Slot, last: int, ours: Mapping[bytes, int]) -> None:
        """Other records stand between ours: all are applied in their order, the newest of each key stays.

        What stands behind a newer one is mended whosever it is: a broker that compacts keeps the last one alone.
        """
        slot.read, slot.unwritten = False, []
        _, end = await self._changelog.bounds(partition)
        stale = await self._follow(partition, slot, slot.db.progress.applied + 1, max(end, last + 1), lambda _: None)
        await self._repair(partition, slot, stale)
        slot.read = True
        if lost := [key for key in set(stale) if slot.db.mark_of(key) > ours.get(key, slot.db.mark_of(key))]:
            raise NotOwner(
                f"found newer states of {len(lost)} keys in the changelog of {self._name}-{partition}; expected this "
                "worker's to be the newest; another worker owns the partition, and goes on with it"
            )

    async def _repair(self, partition: int, slot: _Slot, stale: Sequence[bytes]) -> None:
        keys = list(dict.fromkeys(stale))
        if keys:
            log.warning("%s-%d: %d older states stood behind newer ones; mended", self._name, partition, len(keys))
        for start in range(0, len(keys), REPAIRED_AT_ONCE):
            chosen = keys[start : start + REPAIRED_AT_ONCE]
            held = [self._held(slot, key) for key in chosen]
            records = [record for record in held if record is not None]
            offsets = await self._changelog.append(partition, records) if records else []
            if offsets == list(range(slot.db.progress.applied + 1, slot.db.progress.applied + 1 + len(offsets))):
                await asyncio.to_thread(slot.db.apply, records, max(offsets, default=slot.db.progress.applied))

    def _held(self, slot: _Slot, key: bytes) -> Record | None:
        raw = slot.db.get(key)
        if raw is None:
            return None
        state = self._decoded(raw)
        return Record(key, raw, slot.db.mark_of(key), self._marks.opened_ms(state), self._marks.seen_ms(state))

    async def _write(self, slot: _Slot) -> None:
        await asyncio.to_thread(slot.db.apply, slot.unwritten, slot.unwritten_to)
        slot.unwritten = []

    def _record(self, partition: int, key: str, state: State | None, mark: int, seen_ms: int) -> Record:
        if state is None:
            return Record(key.encode(), None, mark)
        raw = self._encoder.encode((partition, state))
        return Record(key.encode(), raw, mark, self._marks.opened_ms(state), max(self._marks.seen_ms(state), seen_ms))

    def _decoded(self, raw: bytes) -> State:
        try:
            found: tuple[int, State] = self._decoder.decode(raw)
        except msgspec.ValidationError as error:
            raise UnknownFormat(
                f"found a state of table {self._name!r} that is not of this version ({error}); expected one that this "
                "code wrote; stop the streams and run `millstream rebuild`, which makes the states anew from the log"
            ) from error
        return found[1]

    def _slot(self, partition: int) -> _Slot:
        slot = self._slots.get(partition)
        if slot is None:
            raise NotOwner(
                f"found {self._name}-{partition} closed; expected it open: the partition was given to another worker"
            )
        return slot
