"""Doubles of what the agents' work needs: a table in memory, a sink of rows, and the whole of one user agent."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from contracts.errors import LogUnavailable
from contracts.features import ItemFeatures, UserFeatures
from eventlog.memory import MemoryLog
from feature_repo.memory import MemoryFeatureStore
from streams.agents.items import ItemAgent
from streams.agents.users import UserAgent
from streams.attributes import CatalogueAttributes
from streams.feature_writer import FeatureWriter
from streams.metrics import StreamMetrics
from streams.open_windows import OpenWindows
from streams.sinks import item_sink, user_sink
from streams.state.item_features import ItemFeatureState
from streams.state.user_state import UserState
from tests.streams.shop import NOON, RULES

NOW = NOON + timedelta(days=1)


class MemoryTable:
    """As `streams.tables.PartitionedTable`; set `available` to False to play a broker that is away."""

    def __init__(self, state: type[Any]) -> None:
        self.available = True
        self.writes = 0
        self._state = state
        self._rows: dict[tuple[int, str], bytes] = {}

    def get(self, partition: int, key: str) -> Any:
        raw = self._rows.get((partition, key))
        return None if raw is None else msgspec.msgpack.decode(raw, type=self._state)

    async def put(self, partition: int, states: Mapping[Any, Any]) -> None:
        await asyncio.sleep(0)
        if not self.available:
            raise LogUnavailable("found the changelog switched off; expected it available")
        self.writes += len(states)
        self._rows |= {(partition, key): msgspec.msgpack.encode(state) for key, state in states.items()}

    def rows(self) -> dict[tuple[int, str], bytes]:
        return dict(self._rows)


@dataclass
class RowArchive:
    rows: list[dict[str, Any]] = field(default_factory=list)

    def append(self, rows: Any) -> None:
        self.rows.extend(rows)


class Rig:
    """A user agent and an item agent over memory, with a clock that stands still and a wall clock that a test moves."""

    def __init__(self) -> None:
        self.metrics = StreamMetrics(CollectorRegistry())
        self.log = MemoryLog()
        self.store = MemoryFeatureStore()
        self.archive = RowArchive()
        self.wall_s = 0.0
        self.users = MemoryTable(UserState)
        self.items = MemoryTable(ItemFeatureState)
        self.attributes = CatalogueAttributes(lambda: NOW)
        self.windows = OpenWindows(lambda: self.wall_s)
        self.user_rows: FeatureWriter[UserFeatures] = FeatureWriter(
            user_sink(self.store, self.archive, lambda: NOW), self.log, self.metrics, 0.01, lambda: NOW
        )
        self.item_rows: FeatureWriter[ItemFeatures] = FeatureWriter(
            item_sink(self.store, self.archive, self.log, self.metrics, lambda: NOW), self.log, self.metrics, 0.01
        )
        self.user_agent = UserAgent(
            table=self.users, log=self.log, features=self.user_rows, attributes=self.attributes, windows=self.windows,
            rules=RULES, metrics=self.metrics, clock=lambda: NOW,
        )  # type: ignore[arg-type]  # fmt: skip
        self.item_agent = ItemAgent(
            table=self.items, log=self.log, features=self.item_rows, rules=RULES, metrics=self.metrics,
            clock=lambda: NOW,
        )  # type: ignore[arg-type]  # fmt: skip

    def outcomes(self, agent: str, outcome: str) -> float:
        return self.metrics.outcomes.labels(agent, outcome)._value.get()
