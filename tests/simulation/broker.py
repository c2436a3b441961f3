"""A broker of the simulation: topics and changelogs, which can go away in mid-call; its group is in `group.py`.

`Client` is what one worker sees: it is the `EventLog`, and makes the changelogs and the consumer. A message whose
acknowledgement is lost may still be there, at once or somewhat later.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from random import Random

from aiokafka import TopicPartition

from contracts.errors import LogUnavailable
from contracts.ports import LoggedMessage
from contracts.topics import Topic
from streams.changelog import Numbered
from streams.memory import MemoryChangelog
from streams.state_db import Record
from tests.simulation.group import AWAY, Coordinator
from tests.simulation.loop import Life, VirtualLoop


@dataclass(frozen=True)
class SimRecord(LoggedMessage):
    """A message as the group's consumer gives it; its sender has set its time."""

    timestamp: int = 0
    timestamp_type: int = 0


class Broker:
    """The log and its group coordinator.

    Args:
        loop: The loop.
        random: Decides latencies, and what is kept of what fails.
        partitions: Of every topic.

    Attributes:
        on_commit: Called with each commit that landed: (topic, partition, offset).
    """

    def __init__(self, loop: VirtualLoop, random: Random, partitions: int):
        self.loop = loop
        self.random = random
        self.partitions = partitions
        self.available = True
        self.commits: dict[TopicPartition, int] = {}
        self.changelogs = {"users": MemoryChangelog(), "items": MemoryChangelog()}
        self.on_commit: Callable[[str, int, int], None] = lambda *_: None
        self.on_append: Callable[[str, int, Sequence[Record]], None] = lambda *_: None
        self.coordinator = Coordinator(self)
        self._topics: dict[TopicPartition, list[LoggedMessage]] = {}
        self._waiting: dict[TopicPartition, list[asyncio.Future[None]]] = {}

    def read(self, where: TopicPartition, start: int = 0) -> list[LoggedMessage]:
        """The messages of a partition from an offset on."""
        return self._topics.get(where, [])[start:]

    def topic(self, topic: Topic) -> list[LoggedMessage]:
        """All messages of a topic."""
        return [one for number in range(self.partitions) for one in self.read(TopicPartition(topic.name, number))]

    def append(self, topic: Topic, key: str, value: bytes | None) -> None:
        """Keeps a message."""
        where = TopicPartition(topic.name, zlib.crc32(key.encode()) % self.partitions)
        kept = self._topics.setdefault(where, [])
        kept.append(SimRecord(topic.name, where.partition, len(kept), key.encode(), value))
        for future in self._waiting.pop(where, ()):
            if not future.done():
                future.set_result(None)

    def published(self, topic: Topic, key: str, value: bytes | None) -> bool:
        """Publishes; false when it is not acknowledged, and then it may be there or not."""
        if not self.available:
            if self.random.random() < 0.3:
                self.append(topic, key, value)
            return False
        self.append(topic, key, value)
        return True

    async def news(self, where: TopicPartition, timeout_s: float) -> None:
        """Returns at the partition's next message, or after the timeout."""
        future = self.loop.create_future()
        self._waiting.setdefault(where, []).append(future)
        await asyncio.wait([future], timeout=timeout_s)

    def append_records(self, table: str, partition: int, records: Sequence[Record]) -> list[int]:
        """Appends to a changelog."""
        self.on_append(table, partition, records)
        return self.changelogs[table].append_now(partition, records)


class Client:
    """A worker's connection; implements `contracts.ports.EventLog`."""

    def __init__(self, broker: Broker, life: Life):
        self.broker = broker
        self.life = life

    def publish(self, topic: Topic, key: str, value: bytes | None) -> "Future[None]":
        future: Future[None] = Future()
        self.life.step()
        if self.broker.published(topic, key, value):
            future.set_result(None)
        else:
            future.set_exception(LogUnavailable(AWAY))
        return future

    def flush(self, timeout_s: float) -> None:
        if not self.broker.available:
            raise LogUnavailable(AWAY)

    async def latency(self) -> None:
        if self.broker.random.random() < 0.5:
            await asyncio.sleep(0)
        else:
            await asyncio.sleep(self.broker.random.uniform(0.0, 0.05))


class SimChangelog:
    """Implements `streams.changelog.Changelog` for one worker."""

    def __init__(self, client: Client, table: str):
        self._client = client
        self._table = table

    async def append(self, partition: int, records: Sequence[Record]) -> list[int]:
        broker, random, offsets = self._client.broker, self._client.broker.random, []
        await self._client.latency()
        cut = random.randrange(len(records) + 1)
        for part in (records[:cut], records[cut:]):
            if not broker.available:
                landed = [record for record in records[len(offsets) :] if random.random() < 0.3]
                if landed:
                    broker.loop.call_later(
                        random.uniform(0.0, 6.0), broker.append_records, self._table, partition, landed
                    )
                raise LogUnavailable(AWAY)
            offsets += broker.append_records(self._table, partition, part) if part else []
            if self._client.life.kill_after is not None and self._client.life.kill_after <= 0:
                self._client.life.kill()
            await self._client.latency()
        return offsets

    async def bounds(self, partition: int) -> tuple[int, int]:
        await self._client.latency()
        self._client.flush(0)
        return await self._client.broker.changelogs[self._table].bounds(partition)

    async def origin(self, partition: int) -> bytes:
        await self._client.latency()
        self._client.flush(0)
        return await self._client.broker.changelogs[self._table].origin(partition)

    async def read(self, partition: int, start: int, end: int) -> AsyncIterator[tuple[list[Numbered], int]]:
        await self._client.latency()
        found = [one for one in self._client.broker.changelogs[self._table].records(partition) if start <= one[0] < end]
        middle = len(found) // 2
        for batch in (found[:middle], found[middle:]):
            self._client.flush(0)
            if batch:
                yield batch, batch[-1][0]
                await self._client.latency()
