import asyncio
from collections.abc import Sequence

from prometheus_client import CollectorRegistry

from contracts.errors import VectorsUnavailable
from contracts.ports import LoggedMessage
from streams import lanes
from streams.lanes import LaneRules, Lanes, LaneWork
from streams.metrics import StreamMetrics
from streams.progress import Progress

RULES = LaneRules(limit=10, linger_s=0.0, tick_every_s=0.01)


class Work:
    """Keeps what was worked on; fails as told."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.refused: list[int] = []
        self.acknowledged: list[int] = []
        self.away_times = 0
        self.poison: int | None = None

    async def process(self, partition: int, messages: Sequence[LoggedMessage]) -> None:
        if self.away_times:
            self.away_times -= 1
            raise VectorsUnavailable("found it away")
        offsets = [message.offset for message in messages]
        if self.poison in offsets:
            raise RuntimeError("a bug")
        self.batches.append(offsets)

    async def refuse(self, message: LoggedMessage, error: Exception) -> None:
        self.refused.append(message.offset)

    def lanes(self) -> Lanes:
        return Lanes("test", LaneWork(self.process, self.refuse), RULES, StreamMetrics(CollectorRegistry()), Progress())

    async def put(self, into: Lanes, *offsets: int) -> None:
        for offset in offsets:

            async def acknowledge(offset: int = offset) -> None:
                self.acknowledged.append(offset)

            await into.put(LoggedMessage("events", 0, offset, None, None), acknowledge)

    async def acknowledged_all(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.acknowledged) < count:
                await asyncio.sleep(0.005)


async def test_a_batch_is_acknowledged_in_order_after_its_work() -> None:
    work = Work()
    into = work.lanes()
    await work.put(into, 0, 1, 2)
    await work.acknowledged_all(3)
    await into.revoke()
    assert [offset for batch in work.batches for offset in batch] == [0, 1, 2]
    assert work.acknowledged == [0, 1, 2]


async def test_a_batch_waits_for_a_dependency_that_is_away_and_loses_nothing(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(lanes, "FIRST_RETRY_S", 0.001)
    work = Work()
    work.away_times = 3
    into = work.lanes()
    await work.put(into, 0, 1)
    await work.acknowledged_all(2)
    await into.revoke()
    assert work.refused == []
    assert sorted(work.acknowledged) == [0, 1]


async def test_a_message_that_breaks_its_batch_is_refused_alone_and_the_rest_goes_on() -> None:
    work = Work()
    work.poison = 1
    into = work.lanes()
    await work.put(into, 0, 1, 2)
    await work.acknowledged_all(3)
    await into.revoke()
    assert work.refused == [1]
    assert sorted(offset for batch in work.batches for offset in batch) == [0, 2]


async def test_a_revoked_lane_forgets_what_waits_and_acknowledges_none_of_it(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(lanes, "FIRST_RETRY_S", 10.0)
    work = Work()
    work.away_times = 1
    into = Lanes(
        "test", LaneWork(work.process, work.refuse), LaneRules(linger_s=0.0, drain_s=0.05),
        StreamMetrics(CollectorRegistry()), Progress(),
    )  # fmt: skip
    await work.put(into, 0, 1)
    await asyncio.sleep(0.02)
    await into.revoke()
    assert work.acknowledged == []
