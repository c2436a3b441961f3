"""A disk that is really full: no event is blamed, nothing is lost, and the lane goes on once there is room."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from contracts.ids import UserId
from contracts.topics import DEAD_LETTERS, EVENTS
from contracts.wire import encode
from eventlog.memory import MemoryLog
from feature_repo.memory import MemoryFeatureStore
from streams import lane
from streams.agents.users import UserAgent
from streams.attributes import CatalogueAttributes
from streams.feature_writer import FeatureWriter
from streams.health import Machine
from streams.lane_work import LaneContext, LaneRules, LaneWork
from streams.lanes import Lanes
from streams.memory import MemoryChangelog, MemorySource
from streams.metrics import StreamMetrics
from streams.progress import Progress
from streams.quiet import Quiet
from streams.sinks import user_sink
from streams.state.user_state import UserState
from streams.tables import PartitionedTable
from tests.builders.files import fill, small_disk
from tests.streams.doubles import NOW, USER_MARKS
from tests.streams.shop import RULES, view

USERS = 40
EVENTS_EACH = 10


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", megabytes=2) as directory:
        yield directory


@pytest.mark.parametrize("copies_are_there", [False, True], ids=["before the copies are made", "while they are used"])
async def test_events_wait_while_the_disk_is_full_and_none_is_lost_or_blamed(
    disk: Path, copies_are_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(lane, "LAST_RETRY_S", 0.05)
    log, metrics, store = MemoryLog(), StreamMetrics(CollectorRegistry()), MemoryFeatureStore()
    source, changelog = MemorySource(log), MemoryChangelog()
    table = PartitionedTable("users", UserState, disk, changelog, USER_MARKS)
    rows = FeatureWriter(user_sink(store), log, metrics, 0.01)
    agent = UserAgent(
        table=table, log=log, features=rows, attributes=CatalogueAttributes(), quiet=Quiet(lambda: 0.0), rules=RULES,
        metrics=metrics, clock=lambda: NOW,
    )  # fmt: skip
    work = LaneWork(agent.process, agent.refuse, open=table.open, close=agent.close, healthy=Machine(disk, log).healthy)
    context = LaneContext(source, metrics, Progress(), lambda error: pytest.fail(str(error)))
    into = Lanes("users", EVENTS, work, LaneRules(limit=25, linger_s=0.0, gather_s=0.0), context)

    def publish() -> None:
        for number in range(USERS * EVENTS_EACH):
            event = view("a" * 100, number, f"e-{len(log.messages(EVENTS))}")
            event = event.model_copy(update={"user_id": UserId(f"user-{number % USERS}")})
            log.publish(EVENTS, event.user_id, encode(event))

    def all_done() -> bool:
        ends = {partition: len(log.read(EVENTS.name, partition, 0)) for partition in range(EVENTS.partitions)}
        return into.safe_offsets() == ends

    async def until_done() -> None:
        async with asyncio.timeout(30):
            while not all_done():
                await asyncio.sleep(0.02)

    if copies_are_there:
        into.assign(range(EVENTS.partitions))
        publish()
        await until_done()
    ballast = disk / "ballast"
    fill(ballast)
    if not copies_are_there:
        into.assign(range(EVENTS.partitions))
    publish()
    await asyncio.sleep(0.5)
    assert not all_done()
    ballast.unlink()
    await until_done()
    expected = EVENTS_EACH * (2 if copies_are_there else 1)
    counts = [
        state.features.event_count
        for partition in range(EVENTS.partitions)
        for _, state in table.scan(partition, "", 1000)
    ]
    assert counts == [expected] * USERS
    assert log.messages(DEAD_LETTERS) == []
    await into.finish()
    await into.close()
