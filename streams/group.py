"""The worker's membership of the consumer group: which partitions it owns, what they fetch, and what is committed.

It stands in place of Faust's own consumer, whose recovery clears queues that were filled, whose drain takes re-read
messages for read ones, and whose commit is off by one: with several workers it skips events (docs/adr/0007).

A rebalance:

1. the lanes finish their batches, within a bound; 2. what is done and written is committed, and the states are closed;
3. the group deals out anew; 4. a lane is opened for each partition dealt, and reads on from what was committed.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiokafka
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import KafkaError

from contracts.errors import LogUnavailable
from contracts.ports import LoggedMessage
from eventlog.stamped import logged_ms
from streams.clients import asked_to_end, stopped
from streams.ends import FETCH_WAIT_MS
from streams.lanes import Lanes

log = logging.getLogger(__name__)

SESSION_TIMEOUT_S = 6.0
"""A worker that is silent for this long loses its partitions; Apache Kafka takes no less by default.

On Tansu a join takes half of it.
"""

HEARTBEAT_EVERY_S = 1.0
REBALANCE_TIMEOUT_S = 30.0
COMMIT_EVERY_S = 0.5
COMMIT_TIMEOUT_S = 5.0
WRITTEN_WITHIN_S = 1.0
"""How long a revoked partition's rows may take to be written, so that they need not be made again."""

RETRY_S = 1.0
IDLE_LIMIT_S = 24 * 3600.0
"""A member may fetch nothing for this long: while a store is away it waits. The watchdog sees a real stall earlier."""


@dataclass(frozen=True)
class GroupConfig:
    """Which group of which broker."""

    bootstrap: str
    group: str
    client_id: str = "millstream-streams"


class KafkaSource:
    """Implements `streams.lanes.Source` on the group's consumer."""

    def __init__(self, consumer: aiokafka.AIOKafkaConsumer):
        self._consumer = consumer

    async def fetch(self, topic: str, partition: int, limit: int, timeout_s: float) -> list[LoggedMessage]:
        """As the protocol says."""
        where = TopicPartition(topic, partition)
        try:
            batches = await self._consumer.getmany(where, timeout_ms=round(timeout_s * 1000), max_records=limit)
        except KafkaError as error:
            raise _unavailable(error, f"messages of {topic}-{partition}") from error
        return [
            LoggedMessage(topic, partition, record.offset, record.key, record.value, logged_ms(record))
            for record in batches.get(where, ())
        ]

    async def committed(self, topic: str, partition: int) -> int | None:
        """As the protocol says."""
        try:
            offset = await self._consumer.committed(TopicPartition(topic, partition))
        except KafkaError as error:
            raise _unavailable(error, f"the committed offset of {topic}-{partition}") from error
        return None if offset is None else int(offset)

    def seek(self, topic: str, partition: int, offset: int) -> None:
        """As the protocol says. A partition that was just taken away is read from its commit by its next owner."""
        try:
            self._consumer.seek(TopicPartition(topic, partition), offset)
        except KafkaError as error:
            raise _unavailable(error, f"{topic}-{partition} to be owned") from error

    def highwater(self, topic: str, partition: int) -> int | None:
        """The end of an owned partition as its last fetch saw it; None before one."""
        with contextlib.suppress(KafkaError, AssertionError):
            found = self._consumer.highwater(TopicPartition(topic, partition))
            return None if found is None else int(found)
        return None


class Group(ConsumerRebalanceListener):  # type: ignore[misc]
    """The membership; lives in the event loop.

    Args:
        config: Which group.
        lanes: Makes the lanes of all agents, by topic, from a source.
    """

    def __init__(self, config: GroupConfig, lanes: Callable[[KafkaSource], Mapping[str, Lanes]]):
        self._config = config
        self._make_lanes = lanes
        self._consumer: aiokafka.AIOKafkaConsumer | None = None
        self._source: KafkaSource | None = None
        self._lanes: Mapping[str, Lanes] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._committer: asyncio.Task[None] | None = None
        self.rebalances = 0

    async def start(self) -> None:
        """Joins the group; waits while the broker is away."""
        while True:
            consumer = self._new_consumer()
            try:
                await consumer.start()
                break
            except KafkaError as error:
                log.warning("the group waits: %s", _unavailable(error, "a broker"))
                await stopped(consumer)
                await asyncio.sleep(RETRY_S)
        self._consumer, self._source = consumer, KafkaSource(consumer)
        self._lanes = self._make_lanes(self._source)
        consumer.subscribe(sorted(self._lanes), listener=self)
        self._committer = asyncio.create_task(self._commits(), name="commits")

    async def stop(self) -> None:
        """Finishes the lanes, commits and leaves the group, so that its partitions are dealt out at once."""
        if self._committer is not None:
            self._committer.cancel()
            await asyncio.wait([self._committer])
        await self._finish()
        if self._consumer is not None:
            consumer, self._consumer = self._consumer, None
            await stopped(consumer, COMMIT_TIMEOUT_S)

    def owned(self) -> set[tuple[str, int]]:
        """The partitions of this worker, as (topic, partition)."""
        return {(topic, partition) for topic, lanes in self._lanes.items() for partition in lanes.owned()}

    def opening(self) -> dict[tuple[str, int], int]:
        """Partitions whose states are being read, with the changelog messages applied so far."""
        return {
            (topic, partition): count
            for topic, lanes in self._lanes.items()
            for partition, count in lanes.opening().items()
        }

    def highwater(self, topic: str, partition: int) -> int | None:
        """The end of an owned partition as its last fetch saw it; None where none did."""
        return None if self._source is None else self._source.highwater(topic, partition)

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """Steps 1 and 2; called by the client before it joins anew."""
        await self._finish()

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """Step 4; called by the client once partitions are dealt out."""
        self.rebalances += 1
        self._committed = {}
        for topic, lanes in self._lanes.items():
            mine = sorted(where.partition for where in assigned if where.topic == topic)
            lanes.assign(mine)
            log.info("%s: partitions %s", topic, mine)

    async def _finish(self) -> None:
        await asyncio.gather(*(lanes.finish() for lanes in self._lanes.values()))  # 1
        waited_s = 0.0
        while waited_s < WRITTEN_WITHIN_S and any(lanes.held() for lanes in self._lanes.values()):
            await asyncio.sleep(0.05)
            waited_s += 0.05
        await self._commit()  # 2
        await asyncio.gather(*(lanes.close() for lanes in self._lanes.values()))

    async def _commits(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_EVERY_S)
            try:
                await self._commit()
            except asyncio.CancelledError:
                if asked_to_end():
                    raise
            except Exception:
                log.exception("not committed, to be tried again")

    async def _commit(self) -> None:
        """Commits what moved; what fails is committed at the next time, or read again by the partition's new owner."""
        if self._consumer is None:
            return
        offsets = {
            TopicPartition(topic, partition): offset
            for topic, lanes in self._lanes.items()
            for partition, offset in lanes.safe_offsets().items()
        }
        changed = {where: offset for where, offset in offsets.items() if self._committed.get(where, -1) < offset}
        if not changed:
            return
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT_S):
                await self._consumer.commit(changed)
        except (KafkaError, TimeoutError) as error:
            log.warning("not committed, to be tried again: %r", error)
        else:
            self._committed |= changed

    def _new_consumer(self) -> aiokafka.AIOKafkaConsumer:
        return aiokafka.AIOKafkaConsumer(
            bootstrap_servers=self._config.bootstrap.split(","),
            client_id=self._config.client_id,
            group_id=self._config.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=FETCH_WAIT_MS,
            max_partition_fetch_bytes=4 * 1024 * 1024,
            session_timeout_ms=round(SESSION_TIMEOUT_S * 1000),
            heartbeat_interval_ms=round(HEARTBEAT_EVERY_S * 1000),
            rebalance_timeout_ms=round(REBALANCE_TIMEOUT_S * 1000),
            max_poll_interval_ms=round(IDLE_LIMIT_S * 1000),
            partition_assignment_strategy=(RoundRobinPartitionAssignor,),
        )


def _unavailable(error: BaseException, expected: str) -> LogUnavailable:
    return LogUnavailable(
        f"found {type(error).__name__} ({error}) from the broker; expected {expected}; check that it runs"
    )
