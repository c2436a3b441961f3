"""A table of counts for the tables' tests: its states, its changelogs, and what another worker writes."""

import pickle
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec

from streams.changelog import Numbered
from streams.memory import MemoryChangelog
from streams.state_db import Record
from streams.tables import Marks, PartitionedTable


class Count(msgspec.Struct, frozen=True, array_like=True, tag=1):
    count: int = 0
    opened_ms: int | None = None
    at_ms: int = 0


class NextCount(msgspec.Struct, frozen=True, array_like=True, tag=2):
    count: int = 0


MARKS: Marks[Count] = Marks(lambda state: state.opened_ms, lambda state: state.at_ms)


class FileChangelog:
    """A changelog of one partition in a file that outlives its process."""

    def __init__(self, path: Path):
        self._path = path

    def records(self) -> list[Numbered]:
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            found = []
            while file.peek(1):
                found.append(pickle.load(file))
        return list(enumerate(found))

    async def append(self, partition: int, records: Sequence[Record]) -> list[int]:
        first = len(self.records())
        with self._path.open("ab") as file:
            for record in records:
                pickle.dump(record, file)
        return list(range(first, first + len(records)))

    async def bounds(self, partition: int) -> tuple[int, int]:
        return 0, len(self.records())

    async def origin(self, partition: int) -> bytes:
        return b""

    async def read(self, partition: int, start: int, end: int) -> AsyncIterator[tuple[list[Numbered], int]]:
        found = self.records()[start:end]
        if found:
            yield found, found[-1][0]


def table(directory: Path, changelog: MemoryChangelog) -> PartitionedTable[Count]:
    return PartitionedTable("counts", Count, directory, changelog, MARKS)


async def opened(directory: Path, changelog: MemoryChangelog, partition: int = 0) -> PartitionedTable[Count]:
    made = table(directory, changelog)
    await made.open(partition)
    return made


def newest(changelog: MemoryChangelog, key: str, partition: int = 0) -> int:
    """Count and mark in the last record of a key, which is the one that a compacting broker keeps."""
    last = [record for _, record in changelog.records(partition) if record.key == key.encode()][-1]
    assert last.value is not None
    return msgspec.msgpack.decode(last.value, type=tuple[int, Count])[1].count


def foreign(key: str, count: int, mark: int) -> Record:
    return Record(key.encode(), msgspec.msgpack.encode((0, Count(count))), mark)
