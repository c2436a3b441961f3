"""What the agents' tests need: tables over a changelog in memory, and the whole of a user agent and an item agent."""

import shutil
import tempfile
import weakref
from datetime import timedelta
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from contracts.features import ItemFeatures, UserFeatures
from eventlog.memory import MemoryLog
from feature_repo.memory import MemoryFeatureStore
from streams.agents.items import ItemAgent
from streams.agents.users import UserAgent
from streams.attributes import CatalogueAttributes
from streams.feature_writer import FeatureWriter
from streams.memory import MemoryChangelog
from streams.metrics import StreamMetrics
from streams.quiet import Quiet
from streams.sinks import item_sink, user_sink
from streams.state.item_features import ItemFeatureState
from streams.state.user_state import UserState
from streams.tables import Marks, PartitionedTable
from tests.streams.shop import NOON, RULES

NOW = NOON + timedelta(days=1)

USER_MARKS: Marks[UserState] = Marks(UserState.opened_ms, UserState.seen_ms)
ITEM_MARKS: Marks[ItemFeatureState] = Marks(lambda _: None, lambda state: state.last_event_ms)


class OpenedTable(PartitionedTable[Any]):
    """A table over a changelog in memory that opens a partition at its first use; its copies go with it."""

    def __init__(self, name: str, state: type[Any], marks: Marks[Any], changelog: MemoryChangelog | None = None):
        directory = tempfile.mkdtemp()
        weakref.finalize(self, shutil.rmtree, directory)
        self.changelog = changelog or MemoryChangelog()
        super().__init__(name, state, Path(directory), self.changelog, marks)

    async def settle(self, partition: int) -> None:
        if not self.opened(partition):
            await self.open(partition)
        await super().settle(partition)

    @property
    def writes(self) -> int:
        """States that the changelog took."""
        return sum(len(self.changelog.records(partition)) for partition in self._slots)

    def rows(self) -> dict[tuple[int, bytes], bytes]:
        """Every state's bytes, by partition and key."""
        return {(partition, key): value for partition, slot in self._slots.items() for key, _, value in slot.db.rows()}


def user_table(changelog: MemoryChangelog | None = None) -> OpenedTable:
    return OpenedTable("users", UserState, USER_MARKS, changelog)


def item_table(changelog: MemoryChangelog | None = None) -> OpenedTable:
    return OpenedTable("items", ItemFeatureState, ITEM_MARKS, changelog)


class Rig:
    """A user agent and an item agent over memory, with a clock that stands still and a wall clock that a test moves.

    Args:
        users: The user table; a new one by default.
    """

    def __init__(self, users: OpenedTable | None = None) -> None:
        self.metrics = StreamMetrics(CollectorRegistry())
        self.log = MemoryLog()
        self.store = MemoryFeatureStore()
        self.wall_s = 0.0
        self.users = users or user_table()
        self.items = item_table()
        self.attributes = CatalogueAttributes(lambda: NOW)
        self.user_rows: FeatureWriter[UserFeatures] = FeatureWriter(
            user_sink(self.store), self.log, self.metrics, 0.01, lambda: NOW
        )
        self.item_rows: FeatureWriter[ItemFeatures] = FeatureWriter(
            item_sink(self.store, self.log, self.metrics), self.log, self.metrics, 0.01
        )
        self.user_agent = UserAgent(
            table=self.users, log=self.log, features=self.user_rows, attributes=self.attributes,
            quiet=Quiet(lambda: self.wall_s), rules=RULES, metrics=self.metrics, clock=lambda: NOW,
        )  # fmt: skip
        self.item_agent = ItemAgent(
            table=self.items, log=self.log, features=self.item_rows, rules=RULES, metrics=self.metrics,
            clock=lambda: NOW,
        )  # fmt: skip

    def outcomes(self, agent: str, outcome: str) -> float:
        return self.metrics.outcomes.labels(agent, outcome)._value.get()
