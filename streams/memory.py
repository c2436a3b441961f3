"""The streams' ports in memory: a changelog and a source of messages, for tests and for trials in one process."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from contracts.errors import LogUnavailable
from contracts.ports import LoggedMessage
from eventlog.memory import MemoryLog
from streams.changelog import NAMES_AT_MOST, Numbered, rebuilt
from streams.state_db import Record

READ_AT_ONCE = 2000
POLL_S = 0.005


class MemoryChangelog:
    """Implements `streams.changelog.Changelog`. Set `available` to False to play an outage."""

    def __init__(self) -> None:
        self.available = True
        self._records: dict[int, list[Numbered]] = {}
        self._ends: dict[int, int] = {}

    async def append(self, partition: int, records: Sequence[Record]) -> list[int]:
        """As the protocol says."""
        await asyncio.sleep(0)
        self._answer()
        return self.append_now(partition, records)

    def append_now(self, partition: int, records: Sequence[Record]) -> list[int]:
        """As `append`, at once: what a foreign worker wrote."""
        first = self._ends.get(partition, 0)
        numbered = list(enumerate(records, first))
        self._records.setdefault(partition, []).extend(numbered)
        self._ends[partition] = first + len(numbered)
        return [offset for offset, _ in numbered]

    async def bounds(self, partition: int) -> tuple[int, int]:
        """As the protocol says."""
        await asyncio.sleep(0)
        self._answer()
        return 0, self._ends.get(partition, 0)

    async def origin(self, partition: int) -> bytes:
        """As the protocol says."""
        await asyncio.sleep(0)
        self._answer()
        found = rebuilt(self._records.get(partition, [])[:NAMES_AT_MOST])
        return b"" if found is None else found.origin

    async def read(self, partition: int, start: int, end: int) -> AsyncIterator[tuple[list[Numbered], int]]:
        """As the protocol says."""
        self._answer()
        found = [(offset, record) for offset, record in self._records.get(partition, ()) if start <= offset < end]
        for first in range(0, len(found), READ_AT_ONCE):
            await asyncio.sleep(0)
            self._answer()
            batch = found[first : first + READ_AT_ONCE]
            yield batch, batch[-1][0]

    def records(self, partition: int) -> list[Numbered]:
        """All that the partition keeps, with offsets."""
        return list(self._records.get(partition, ()))

    def compact(self, partition: int) -> None:
        """Keeps the last record of each key, as a broker does in its own time."""
        last = {record.key: offset for offset, record in self._records.get(partition, ())}
        kept = [(offset, record) for offset, record in self.records(partition) if last[record.key] == offset]
        self._records[partition] = kept

    def lose_everything(self) -> None:
        """Plays a broker that comes back without its log."""
        self._records.clear()
        self._ends.clear()

    def _answer(self) -> None:
        if not self.available:
            raise LogUnavailable("found the changelog switched off; expected it available")


class MemorySource:
    """Implements `streams.lanes.Source` over a `MemoryLog`, with commits of its own.

    Args:
        log: What is read.
    """

    def __init__(self, log: MemoryLog):
        self.available = True
        self.log = log
        self.commits: dict[tuple[str, int], int] = {}
        self._positions: dict[tuple[str, int], int] = {}

    async def fetch(self, topic: str, partition: int, limit: int, timeout_s: float) -> list[LoggedMessage]:
        """As the protocol says; waits briefly where there is nothing."""
        await asyncio.sleep(0)
        if not self.available:
            raise LogUnavailable("found the log switched off; expected it available")
        place = topic, partition
        position = self._positions.setdefault(place, self.commits.get(place, 0))
        found = self.log.read(topic, partition, position)[:limit]
        if not found:
            await asyncio.sleep(min(timeout_s, POLL_S))
        else:
            self._positions[place] = found[-1].offset + 1
        return found

    async def committed(self, topic: str, partition: int) -> int | None:
        """As the protocol says."""
        await asyncio.sleep(0)
        if not self.available:
            raise LogUnavailable("found the log switched off; expected it available")
        return self.commits.get((topic, partition))

    def seek(self, topic: str, partition: int, offset: int) -> None:
        """As the protocol says."""
        self._positions[topic, partition] = offset

    def highwater(self, topic: str, partition: int) -> int | None:
        """As the protocol says."""
        return len(self.log.read(topic, partition, 0))
