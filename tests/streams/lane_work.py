"""A lane's work that keeps what it is given and fails as its fields say, over a log in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from prometheus_client import CollectorRegistry

from contracts.errors import VectorsUnavailable
from contracts.ports import LoggedMessage
from contracts.topics import Topic
from eventlog.memory import MemoryLog
from streams.lane_work import LaneContext, LaneRules, LaneWork
from streams.lanes import Lanes
from streams.memory import MemorySource
from streams.metrics import StreamMetrics
from streams.progress import Progress

TOPIC = Topic("lane-test", "key", "bytes", 1, timedelta(days=1), "test", ("test",))
RULES = LaneRules(limit=10, linger_s=0.0, gather_s=0.01, drain_s=1.0, tick_every_s=0.01)


class Work:
    """Keeps what was worked on; fails as its fields say."""

    def __init__(self, source: MemorySource | None = None) -> None:
        self.source = source or MemorySource(MemoryLog())
        self.metrics = StreamMetrics(CollectorRegistry())
        self.batches: list[list[int]] = []
        self.refused: list[int] = []
        self.away_times = 0
        self.poison: dict[int, int] = {}
        self.well = True
        self.error: BaseException = VectorsUnavailable("found it away")
        self.held: int | None = None
        self.stopped: list[Exception] = []

    def log(self, count: int) -> None:
        for number in range(count):
            self.source.log.publish(TOPIC, "k", str(number).encode())

    async def process(self, partition: int, messages: Sequence[LoggedMessage]) -> None:
        await asyncio.sleep(0)
        if self.away_times:
            self.away_times -= 1
            raise self.error
        offsets = [message.offset for message in messages]
        for offset in offsets:
            if self.poison.get(offset):
                self.poison[offset] -= 1
                raise RuntimeError("a bug")
        self.batches.append(offsets)

    async def refuse(self, message: LoggedMessage, error: Exception) -> None:
        self.refused.append(message.offset)

    async def healthy(self) -> bool:
        return self.well

    def done(self) -> list[int]:
        return [offset for batch in self.batches for offset in batch]

    def lanes(self, rules: LaneRules = RULES, topic: Topic = TOPIC, work: LaneWork | None = None) -> Lanes:
        context = LaneContext(self.source, self.metrics, Progress(), self.stopped.append)
        mine = LaneWork(self.process, self.refuse, held=lambda _: self.held, healthy=self.healthy)
        return Lanes("test", topic, work or mine, rules, context)

    @asynccontextmanager
    async def running(self, *arguments: object, **named: object) -> AsyncIterator[Lanes]:
        into = self.lanes(*arguments, **named)  # type: ignore[arg-type]
        into.assign([0])
        try:
            yield into
        finally:
            await into.finish()
            await into.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)
