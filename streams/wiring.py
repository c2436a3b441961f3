"""How a worker is put together from the settings: stores, tables, agents, the group, and the threads beside.

`build` starts nothing. What is started, and in which order, stands in `Parts` and in `join` and `leave`.
"""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiokafka
import httpx
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

from contracts.clock import utc_now
from contracts.errors import LogUnavailable, StatesLost, Unavailable
from contracts.features import ItemFeatures, UserFeatures
from contracts.ids import ItemId, UserId
from contracts.settings import Settings
from contracts.topics import ITEM_FEATURES, ITEM_VECTORS, ITEMS, Topic
from eventlog.group import GroupReader
from eventlog.producer import KafkaLog
from eventlog.tail import KafkaTail, connect
from feature_repo.archive import ArchiveWriter
from feature_repo.archive_merge import ArchiveMerge
from feature_repo.online import FeastStore
from feature_repo.vector_index import MilvusIndex
from streams.agents.archive import ARCHIVED, ArchiveAgent
from streams.agents.catalogue import CatalogueAgent
from streams.agents.items import ItemAgent
from streams.agents.users import UserAgent
from streams.app import StreamsApp, create_app
from streams.archived_messages import dead_lettered
from streams.attributes import AttributesFollower, CatalogueAttributes
from streams.changelog import KafkaChangelog
from streams.changelog_names import check_names
from streams.changelogs import CHANGELOG_PRODUCER, ITEM_STATES, USERS, changelog_topic, create_changelogs
from streams.clients import stopped
from streams.feature_writer import FeatureWriter
from streams.flow import AGENT_TOPICS, Flow, wire
from streams.group import Group, GroupConfig
from streams.health import EXIT_STALLED, EXIT_UNUSABLE, Machine
from streams.heartbeat import Heartbeats, Worker
from streams.lag import LagMeter
from streams.metrics import StreamMetrics
from streams.progress import Progress
from streams.quiet import Quiet
from streams.sinks import item_sink, user_sink
from streams.slot import WorkerSlot
from streams.state.item_features import ItemFeatureState
from streams.state.rules import Rules
from streams.state.user_state import UserState
from streams.tables import Marks, PartitionedTable
from streams.upkeep import Kept, Upkeep
from streams.vector_keeper import VectorKeeper

log = logging.getLogger(__name__)

CATALOGUE_TIMEOUT_S = 120.0
LOG_LINGER_MS = 20
RETRY_S = 1.0
UNHURRIED_FETCH_MS = 400
"""How long the broker may hold a fetch of what nobody waits for: of archive, attributes and vectors.

At the 50 ms of the lanes, three idle readers would ask each broker sixty times a second.
"""


@dataclass(frozen=True)
class Parts:
    """What runs beside the worker."""

    log: KafkaLog
    user_rows: FeatureWriter[UserFeatures]
    item_rows: FeatureWriter[ItemFeatures]
    follower: AttributesFollower
    archive: ArchiveAgent
    keeper: VectorKeeper
    heartbeats: Heartbeats

    def start(self) -> None:
        """Starts the threads; returns once the catalogue's attributes are known."""
        self.follower.start()
        self.follower.wait_until_caught_up(CATALOGUE_TIMEOUT_S)
        self.user_rows.start()
        self.item_rows.start()
        self.archive.start()
        self.keeper.start()
        self.heartbeats.start()

    def stop(self) -> None:
        """Ends the threads."""
        self.heartbeats.stop()
        self.follower.stop()
        self.keeper.stop()
        self.user_rows.stop()
        self.item_rows.stop()
        self.archive.stop()
        self.log.close()


@dataclass(frozen=True)
class Base:
    """What agents and upkeep share."""

    config: Settings
    log: KafkaLog
    store: FeastStore
    metrics: StreamMetrics
    attributes: CatalogueAttributes

    def forget_items(self, item_ids: Sequence[str]) -> None:
        """Takes rows of items away, from the store and from the topic. Raises FeaturesUnavailable."""
        self.store.delete_items([ItemId(item_id) for item_id in item_ids])
        for item_id in item_ids:
            self.log.publish(ITEM_FEATURES, item_id, None)

    def forget_users(self, user_ids: Sequence[str]) -> None:
        """Takes rows of users away. Raises FeaturesUnavailable."""
        self.store.delete_users([UserId(user_id) for user_id in user_ids])


class Changelogs:
    """The tables' changelogs; their producer is made in the event loop.

    Args:
        config: Where the broker is, and the application's id.
    """

    def __init__(self, config: Settings):
        self._config = config
        self._made: list[KafkaChangelog] = []
        self._producer: aiokafka.AIOKafkaProducer | None = None

    def of(self, table: str) -> KafkaChangelog:
        """A table's changelog; to be used after `start`."""
        changelog = KafkaChangelog(self._config.bootstrap, changelog_topic(self._config.app_id, table))
        self._made.append(changelog)
        return changelog

    async def start(self) -> None:
        """Creates the topics and connects. Raises LogUnavailable, StatesLost."""
        await asyncio.to_thread(create_changelogs, self._config)
        await asyncio.to_thread(check_names, self._config)
        self._producer = aiokafka.AIOKafkaProducer(
            bootstrap_servers=self._config.bootstrap.split(","), **CHANGELOG_PRODUCER
        )
        await self._producer.start()
        for changelog in self._made:
            changelog.producer = self._producer

    async def stop(self) -> None:
        """Sends what waits and disconnects."""
        if self._producer is not None:
            await stopped(self._producer)


def build(config: Settings) -> tuple[StreamsApp, Parts]:
    """The worker and what runs beside it, from the settings; nothing is started but the metrics' server."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    metrics, progress = StreamMetrics(registry), Progress()
    start_http_server(config.streams_metrics_port, addr="127.0.0.1", registry=registry)

    event_log = KafkaLog(config.bootstrap, "millstream-streams", LOG_LINGER_MS)
    base = Base(config, event_log, FeastStore(config), metrics, CatalogueAttributes())
    slot, changelogs = WorkerSlot(config.streams_dir), Changelogs(config)
    flow = _flow(base, slot.directory, changelogs, progress)
    app = create_app(config)
    group = Group(GroupConfig(config.bootstrap, config.app_id), wire(flow, app))

    async def join() -> None:
        await _persistently(changelogs.start)
        await group.start()

    async def leave() -> None:
        await group.stop()
        await changelogs.stop()

    app.after_start, app.before_stop = join, leave
    archive = ArchiveAgent(
        open_reader=lambda: GroupReader(
            config.bootstrap,
            f"{config.app_id}-archive",
            [topic for topic, _ in ARCHIVED.values()],
            fetch_wait_ms=UNHURRIED_FETCH_MS,
        ),
        writers={dataset: ArchiveWriter(config.archive_dir, dataset) for _, dataset in ARCHIVED.values()},
        metrics=metrics,
        flush_every_s=config.archive_flush_every_s,
        refuse=dead_lettered(event_log, utc_now),
        merge=ArchiveMerge(config.archive_dir).one,
        give_up=give_up,
    )
    heartbeats = Heartbeats(
        log=event_log,
        meter=LagMeter(lambda: connect(config.bootstrap, group=config.app_id), AGENT_TOPICS, progress, group.highwater),
        worker=Worker(group.owned, group.opening, give_up),
        metrics=metrics,
        every_s=config.heartbeat_every_s,
        clock=utc_now,
        other_lag=archive.lag,
        waiting=archive.waiting,
    )

    @app.timer(interval=1.0, on_leader=False)  # type: ignore[untyped-decorator]
    async def _pulse() -> None:
        heartbeats.pulse()

    follower = AttributesFollower(base.attributes, lambda: _unhurried(config, ITEMS), give_up)
    keeper = VectorKeeper(
        _index(config),
        lambda: _unhurried(config, ITEM_VECTORS),
        (config.text_encoder, config.picture_encoder),
    )
    return app, Parts(event_log, flow.user_rows, flow.item_rows, follower, archive, keeper, heartbeats)


def _unhurried(config: Settings, topic: Topic) -> KafkaTail:
    return KafkaTail(config.bootstrap, [topic], "beginning", fetch_wait_ms=UNHURRIED_FETCH_MS)


def give_up(reason: str) -> None:
    """Ends the process, which is started anew."""
    log.critical("giving up, to be started anew: %s", reason)
    logging.shutdown()
    os._exit(EXIT_STALLED)


def _flow(base: Base, directory: Path, changelogs: Changelogs, progress: Progress) -> Flow:
    """Tables, agents, writers and upkeep."""
    config, metrics, rules = base.config, base.metrics, Rules.of(base.config)
    users: PartitionedTable[UserState] = PartitionedTable(
        "users", UserState, directory, changelogs.of(USERS), Marks(UserState.opened_ms, UserState.seen_ms)
    )
    items: PartitionedTable[ItemFeatureState] = PartitionedTable(
        "items", ItemFeatureState, directory, changelogs.of(ITEM_STATES),
        Marks(lambda _: None, lambda state: state.last_event_ms),
    )  # fmt: skip
    user_rows: FeatureWriter[UserFeatures] = FeatureWriter(
        user_sink(base.store), base.log, metrics, config.feature_write_every_s, give_up=give_up
    )
    item_rows: FeatureWriter[ItemFeatures] = FeatureWriter(
        item_sink(base.store, base.log, metrics), base.log, metrics, config.item_write_every_s, give_up=give_up
    )
    user_agent = UserAgent(
        table=users, log=base.log, features=user_rows, attributes=base.attributes, quiet=Quiet(time.monotonic),
        rules=rules, metrics=metrics, clock=utc_now,
    )  # fmt: skip
    item_agent = ItemAgent(table=items, log=base.log, features=item_rows, rules=rules, metrics=metrics, clock=utc_now)
    keep_users = Kept("users", users, user_rows, user_agent.restore, base.forget_users, config.keep_users_days)
    keep_items = Kept("items", items, item_rows, item_agent.restore, base.forget_items, config.keep_users_days)
    return Flow(
        users=users,
        items=items,
        user_agent=user_agent,
        item_agent=item_agent,
        catalogue_agent=CatalogueAgent(
            log=base.log,
            index=_index(config),
            encoders=httpx.AsyncClient(base_url=config.gateway),
            metrics=metrics,
            clock=utc_now,
            forget=base.store.delete_items,
        ),
        user_rows=user_rows,
        item_rows=item_rows,
        user_upkeep=Upkeep(keep_users, base.store, metrics),
        item_upkeep=Upkeep(keep_items, base.store, metrics),
        metrics=metrics,
        progress=progress,
        healthy=Machine(directory, base.log).healthy,
        stop=_stop,
    )


async def _persistently(start: Callable[[], Awaitable[None]]) -> None:
    """Waits while the broker is away, as everything else does."""
    while True:
        try:
            return await start()
        except (LogUnavailable, KafkaError) as error:
            log.warning("the changelogs wait: %r", error)
            await asyncio.sleep(RETRY_S)
        except StatesLost as error:
            _stop(error)


def _index(config: Settings) -> MilvusIndex:
    return MilvusIndex(config.vectors_uri, config.milvus_token.get_secret_value())


def _stop(error: Exception) -> None:
    """The worker cannot go on; where its environment is not at fault a new start would not either: says what to do."""
    if isinstance(error, Unavailable):
        give_up(str(error))
    log.critical("stopping: %s", error)
    logging.shutdown()
    os._exit(EXIT_UNUSABLE)
