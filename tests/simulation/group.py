"""The consumer group of the simulation: its coordinator, and the consumer that stands for an `AIOKafkaConsumer`.

A member that does not beat loses its partitions while it works on; it finds out at its next beat or commit.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaConnectionError

if TYPE_CHECKING:
    from tests.simulation.broker import Broker, Client

HEARTBEAT_S = 0.6
SESSION_S = 2.5
REBALANCE_S = 7.0
AWAY = "found the log switched off; expected it available"


class Coordinator:
    """Deals partitions out to the members that beat, in generations."""

    def __init__(self, broker: "Broker"):
        self._broker = broker
        self.members: dict[Consumer, float] = {}
        self.generation = 0
        self._joined: dict[Consumer, asyncio.Future[set[TopicPartition]]] = {}
        self._until_s: float | None = None

    @property
    def rebalancing(self) -> bool:
        return self._until_s is not None

    def begin(self) -> None:
        """A rebalance, if none is under way."""
        if self._until_s is None:
            self._until_s = self._broker.loop.time() + REBALANCE_S

    async def join(self, member: "Consumer") -> set[TopicPartition]:
        """Returns what the member is dealt, once all have joined or were left behind."""
        self.begin()
        self.members[member] = self._broker.loop.time()
        self._joined[member] = self._broker.loop.create_future()
        return await self._joined[member]

    def leave(self, member: "Consumer") -> None:
        self._joined.pop(member, None)
        if self.members.pop(member, None) is not None:
            self.begin()

    async def run(self) -> None:
        """Expires members and completes rebalances."""
        while True:
            await asyncio.sleep(HEARTBEAT_S / 2)
            now_s = self._broker.loop.time()
            if not self._broker.available:
                self.members = {member: max(beat_s, now_s - 0.5) for member, beat_s in self.members.items()}
                continue
            for member, beat_s in list(self.members.items()):
                if member not in self._joined and now_s - beat_s > SESSION_S:
                    self.leave(member)
            if self._until_s is None or not self._joined:
                continue
            if set(self._joined) >= set(self.members) or now_s > self._until_s:
                self._deal()

    def _deal(self) -> None:
        self.members = {member: self._broker.loop.time() for member in self._joined}
        self.generation += 1
        self._until_s = None
        joined, self._joined = list(self._joined.items()), {}
        topics = sorted({topic for member, _ in joined for topic in member.topics})
        places = [
            TopicPartition(topic, number)
            for index, topic in enumerate(topics)
            for number in sorted(range(self._broker.partitions), key=lambda number: (number + index) % 3)
        ]
        for index, (member, future) in enumerate(joined):
            member.generation = self.generation
            if not future.done():
                future.set_result(set(places[index :: len(joined)]))


class Consumer:
    """What `streams.group.Group` uses of an `AIOKafkaConsumer`."""

    def __init__(self, client: "Client"):
        self._client = client
        self._broker = client.broker
        self.topics: list[str] = []
        self.generation = -1
        self.mute_until_s = 0.0
        self.assigned: set[TopicPartition] = set()
        self.positions: dict[TopicPartition, int] = {}
        self._member: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._client.latency()
        if not self._broker.available:
            raise KafkaConnectionError(AWAY)

    async def stop(self) -> None:
        if self._member is not None:
            self._member.cancel()
        self.assigned = set()
        if self._broker.available:
            self._broker.coordinator.leave(self)

    def subscribe(self, topics: Sequence[str], listener: Any) -> None:
        self.topics = list(topics)
        self._member = asyncio.get_running_loop().create_task(self._membership(listener))

    async def getmany(
        self, where: TopicPartition, timeout_ms: int, max_records: int
    ) -> dict[TopicPartition, list[Any]]:
        random = self._broker.random
        if where not in self.assigned:
            raise IllegalStateError(f"found {where} not assigned; expected it assigned")
        position = self.positions[where]
        if not self._broker.read(where, position) and timeout_ms:
            await self._broker.news(where, timeout_ms / 1000)
        await self._client.latency()
        if not self._broker.available:
            if random.random() < 0.5:
                raise KafkaConnectionError(AWAY)
            await asyncio.sleep(timeout_ms / 1000)
            return {}
        if where not in self.assigned:
            return {}
        found = self._broker.read(where, self.positions[where])[: random.randint(1, max_records)]
        if random.random() < 0.3:
            found = found[: random.randint(1, 3)]
        if found:
            self.positions[where] = found[-1].offset + 1
        return {where: found}

    async def committed(self, where: TopicPartition) -> int | None:
        await self._client.latency()
        if not self._broker.available:
            raise KafkaConnectionError(AWAY)
        return self._broker.commits.get(where)

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        await self._client.latency()
        coordinator = self._broker.coordinator
        reaches = self._broker.available or self._broker.random.random() < 0.3
        current = self in coordinator.members and self.generation == coordinator.generation
        if reaches and current:
            for where, offset in offsets.items():
                self._broker.commits[where] = offset
                self._broker.on_commit(where.topic, where.partition, offset)
        if not self._broker.available:
            raise KafkaConnectionError(AWAY)
        if not current:
            raise CommitFailedError("found another generation; expected this one")

    def seek(self, where: TopicPartition, offset: int) -> None:
        if where not in self.assigned:
            raise IllegalStateError(f"found {where} not assigned; expected it assigned")
        self.positions[where] = offset

    def highwater(self, where: TopicPartition) -> int | None:
        return len(self._broker.read(where))

    def placed(self, assigned: set[TopicPartition]) -> None:
        """Takes what was dealt; reading begins at what was committed."""
        self.assigned = assigned
        self.positions = {where: self._broker.commits.get(where, 0) for where in assigned}

    async def _membership(self, listener: Any) -> None:
        coordinator = self._broker.coordinator
        while True:
            await listener.on_partitions_revoked(set(self.assigned))
            self.assigned = set()
            while not self._broker.available:
                await asyncio.sleep(0.2)
            dealt = await coordinator.join(self)
            self.placed(dealt)
            await listener.on_partitions_assigned(set(dealt))
            while True:
                await asyncio.sleep(HEARTBEAT_S)
                if not self._broker.available or self._broker.loop.time() < self.mute_until_s:
                    continue
                if self not in coordinator.members or coordinator.rebalancing:
                    break
                coordinator.members[self] = self._broker.loop.time()
