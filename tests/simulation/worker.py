"""One worker of the simulation: the real group, lanes, agents, tables, writers and upkeep over a simulated outside."""

import asyncio
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from contracts.errors import FeaturesUnavailable, Unavailable
from feature_repo.memory import MemoryFeatureStore
from streams.agents.items import ItemAgent
from streams.agents.users import UserAgent
from streams.attributes import CatalogueAttributes
from streams.feature_writer import FeatureWriter
from streams.flow import Flow, work_of
from streams.group import Group, GroupConfig, KafkaSource
from streams.lane_work import LaneContext, LaneRules
from streams.lanes import Lanes
from streams.metrics import StreamMetrics
from streams.progress import Progress
from streams.quiet import Quiet
from streams.sinks import item_sink, user_sink
from streams.state.item_features import ItemFeatureState
from streams.state.user_state import UserState
from streams.state_db import StateDb
from streams.tables import PartitionedTable
from streams.upkeep import Kept, Upkeep
from tests.simulation.broker import Broker, Client, SimChangelog
from tests.simulation.group import Consumer
from tests.simulation.loop import LIFE, Life, VirtualLoop
from tests.streams.doubles import ITEM_MARKS, NOW, USER_MARKS
from tests.streams.shop import RULES

QUIET_S = 3.0


class Store(MemoryFeatureStore):
    """The online store; remembers the furthest row ever written of each key."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: dict[str, int] = {}
        self.seen_ms: dict[str, int] = {}

    def write_users(self, rows: Any) -> None:
        LIFE.get().step()  # type: ignore[union-attr]
        super().write_users(rows)
        for user, (_, row) in rows.items():
            self.counted[user] = max(self.counted.get(user, 0), row.event_count)
        LIFE.get().step()  # type: ignore[union-attr]

    def write_items(self, rows: Any) -> None:
        super().write_items(rows)
        for item, (_, row) in rows.items():
            self.seen_ms[item] = max(self.seen_ms.get(item, 0), row.last_event_ms)


class SimDb(StateDb):
    """A copy on the worker's disk, which may be full, and whose file closes when its process dies."""

    def __init__(self, path: Path):
        life = LIFE.get()
        assert life is not None
        self.life = life
        life.disk()
        super().__init__(path)
        life.on_death.append(self.close)

    def apply(self, records: Any, applied: int, muted_until: int | None = None) -> list[bytes]:
        self.life.disk()
        return super().apply(records, applied, muted_until)

    def wipe(self) -> None:
        self.life.disk()
        super().wipe()


class SimGroup(Group):
    """The group over the simulation's consumer."""

    def __init__(self, client: Client, lanes: Callable[[KafkaSource], Mapping[str, Lanes]], consumer: type[Consumer]):
        super().__init__(GroupConfig("simulated", "millstream"), lanes)
        self._client = client
        self._make_consumer = consumer
        self.consumer: Consumer | None = None

    def _new_consumer(self) -> Any:
        self.consumer = self._make_consumer(self._client)
        return self.consumer


class Worker:
    """A worker process in its own folder.

    Args:
        name: For traces.
        broker: The log.
        store: The online store.
        directory: Of its copies; one that was there before is what the process before left.
        metrics: Shared by all, for making them is slow.
        stopped: Called with what ends the process for good, which nothing should.
        consumer: The class of its consumer.
    """

    def __init__(
        self, name: str, broker: Broker, store: Store, directory: Path, metrics: StreamMetrics,
        stopped: Callable[[str], None], consumer: type[Consumer] = Consumer,
    ):  # fmt: skip
        loop: VirtualLoop = broker.loop
        self.life = Life(name, loop)
        self.directory = directory
        self._broker = broker
        self._random = broker.random
        client = Client(broker, self.life)
        self.users = PartitionedTable("users", UserState, directory, SimChangelog(client, "users"), USER_MARKS)
        self.items = PartitionedTable("items", ItemFeatureState, directory, SimChangelog(client, "items"), ITEM_MARKS)
        self.user_rows: Any = FeatureWriter(user_sink(store), client, metrics, 0.1, lambda: NOW)
        self.item_rows: Any = FeatureWriter(item_sink(store, client, metrics), client, metrics, 0.1, lambda: NOW)
        users = UserAgent(
            table=self.users, log=client, features=self.user_rows, attributes=CatalogueAttributes(lambda: NOW),
            quiet=Quiet(loop.time, QUIET_S), rules=RULES, metrics=metrics, clock=lambda: NOW,
        )  # fmt: skip
        items = ItemAgent(
            table=self.items, log=client, features=self.item_rows, rules=RULES, metrics=metrics, clock=lambda: NOW
        )

        async def healthy() -> bool:
            await client.latency()
            return broker.available and not self.life.disk_full

        flow = Flow(
            users=self.users, items=self.items, user_agent=users, item_agent=items,
            catalogue_agent=SimpleNamespace(process=None, refuse=None),  # type: ignore[arg-type]
            user_rows=self.user_rows, item_rows=self.item_rows,
            user_upkeep=Upkeep(Kept("users", self.users, self.user_rows, users.restore, _keep, 0), store, metrics),
            item_upkeep=Upkeep(Kept("items", self.items, self.item_rows, items.restore, _keep, 0), store, metrics),
            metrics=metrics, progress=Progress(), healthy=healthy, stop=lambda error: stopped(f"{name}: {error!r}"),
        )  # fmt: skip
        works = {name: work for name, work in work_of(flow).items() if name != "catalogue"}

        def lanes(source: KafkaSource) -> Mapping[str, Lanes]:
            context = LaneContext(source, metrics, flow.progress, flow.stop)
            rules = LaneRules(limit=self._random.choice([2, 5, 500]))
            return {topic.name: Lanes(name, topic, work, rules, context) for name, (topic, work, _) in works.items()}

        self.group = SimGroup(client, lanes, consumer)

    def start(self) -> None:
        """Starts the process; to be called outside of any other's."""
        token = LIFE.set(self.life)
        try:
            for work in (self.group.start(), self._write(self.user_rows), self._write(self.item_rows)):
                self._keep(self._broker.loop.create_task(work))
        finally:
            LIFE.reset(token)

    async def stop(self) -> None:
        """Ends the process as a signal would, and returns once it has ended."""
        if self.life.dead:
            return
        token = LIFE.set(self.life)
        try:
            stopping = self._broker.loop.create_task(self.group.stop())
        finally:
            LIFE.reset(token)
        await asyncio.wait([stopping], timeout=20.0)
        self.life.kill()

    def lose_copies(self) -> None:
        """The disk of a dead worker is gone."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def at_rest(self) -> bool:
        """Whether nothing waits to be written."""
        return not self.user_rows._any() and not self.item_rows._any()

    async def _write(self, writer: Any) -> None:
        while True:
            await asyncio.sleep(self._random.uniform(0.05, 0.8))
            if not writer._any():
                continue
            try:
                await asyncio.to_thread(writer.flush)
            except Unavailable:
                await asyncio.sleep(0.5)

    def _keep(self, task: "asyncio.Task[Any]") -> None:
        self.tasks = [*getattr(self, "tasks", []), task]


def _keep(_: Any) -> None:
    raise FeaturesUnavailable("found a state to be forgotten; expected none")
