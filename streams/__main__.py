"""The process `python -m streams`: builds the flow from the settings, runs the worker, stops cleanly on a signal.

Start-up: 1. metrics are served; 2. the catalogue's attributes are read to the end; 3. the writers and the archive
start; 4. the worker starts. Stopping goes backwards: the lanes finish, Faust commits, the writers write what waits.
"""

import asyncio
import gc
import logging
import os
import sys
import time
from dataclasses import dataclass
from functools import partial

import faust
import httpx
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

from contracts.clock import utc_now
from contracts.features import ItemFeatures, UserFeatures
from contracts.settings import Settings, settings
from contracts.topics import ITEMS
from eventlog.admin import replicas
from eventlog.group import GroupReader
from eventlog.producer import KafkaLog
from eventlog.tail import KafkaTail, connect
from feature_repo.archive import ArchiveWriter
from feature_repo.online import FeastStore
from feature_repo.vector_index import MilvusIndex
from streams.agents.archive import ARCHIVED, ArchiveAgent
from streams.agents.catalogue import CatalogueAgent
from streams.agents.items import ItemAgent
from streams.agents.users import UserAgent
from streams.app import StreamsApp, create_app, item_table, user_table
from streams.attributes import AttributesFollower, CatalogueAttributes
from streams.feature_writer import FeatureWriter
from streams.flow import AGENT_TOPICS, Flow, wire
from streams.health import EXIT_STALLED
from streams.heartbeat import Heartbeats, Worker
from streams.lag import LagMeter
from streams.metrics import StreamMetrics
from streams.open_windows import OpenWindows
from streams.progress import Progress
from streams.sinks import item_sink, user_sink
from streams.state.item_features import ItemFeatureState
from streams.state.rules import Rules
from streams.state.user_state import UserState
from streams.tables import PartitionedTable

log = logging.getLogger("streams")

CATALOGUE_TIMEOUT_S = 120.0
LOG_LINGER_MS = 20
SWITCH_INTERVAL_S = 0.0005
"""A tenth of Python's default: the event loop gives the interpreter away at each poll, and would wait that long for it
back whenever the archive or a feature writer computes."""

GC_THRESHOLDS = (50_000, 20, 50)
"""Decoding states makes many containers, and Feast's imports fill the heap that a full collection walks: what was
imported is frozen, and collections come less often."""


@dataclass(frozen=True)
class Parts:
    """What runs beside the worker."""

    log: KafkaLog
    user_rows: FeatureWriter[UserFeatures]
    item_rows: FeatureWriter[ItemFeatures]
    follower: AttributesFollower
    archive: ArchiveAgent
    heartbeats: Heartbeats

    def start(self) -> None:
        """Starts the threads; returns once the catalogue's attributes are known."""
        self.follower.start()
        self.follower.wait_until_caught_up(CATALOGUE_TIMEOUT_S)
        self.user_rows.start()
        self.item_rows.start()
        self.archive.start()
        self.heartbeats.start()

    def stop(self) -> None:
        """Ends the threads, the writers before the archive that keeps their rows."""
        self.heartbeats.stop()
        self.follower.stop()
        self.user_rows.stop()
        self.item_rows.stop()
        self.archive.stop()
        self.log.close()


def build(config: Settings) -> tuple[StreamsApp, Parts]:
    """The worker and what runs beside it, from the settings; nothing is started."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    metrics, progress, rules = StreamMetrics(registry), Progress(), Rules.of(config)
    start_http_server(config.streams_metrics_port, addr="127.0.0.1", registry=registry)

    event_log = KafkaLog(config.bootstrap, "millstream-streams", LOG_LINGER_MS)
    store = FeastStore(config)
    user_archive = ArchiveWriter(config.archive_dir, "user_features")
    item_archive = ArchiveWriter(config.archive_dir, "item_features")
    user_rows = FeatureWriter(user_sink(store, user_archive, utc_now), event_log, metrics, config.feature_write_every_s)
    item_rows = FeatureWriter(
        item_sink(store, item_archive, event_log, metrics, utc_now), event_log, metrics, config.item_write_every_s
    )
    attributes = CatalogueAttributes()
    follower = AttributesFollower(attributes, lambda: KafkaTail(config.bootstrap, [ITEMS], "beginning"))

    app = create_app(config, replicas=replicas(config.bootstrap, config.embedded_broker))
    users = PartitionedTable(user_table(app), UserState)
    items = PartitionedTable(item_table(app), ItemFeatureState)
    windows = OpenWindows(time.monotonic)
    wire(
        Flow(
            app=app,
            users=users,
            items=items,
            user_agent=UserAgent(
                table=users, log=event_log, features=user_rows, attributes=attributes, windows=windows, rules=rules,
                metrics=metrics, clock=utc_now,
            ),
            item_agent=ItemAgent(
                table=items, log=event_log, features=item_rows, rules=rules, metrics=metrics, clock=utc_now
            ),
            catalogue_agent=CatalogueAgent(
                log=event_log,
                index=MilvusIndex(config.vectors_uri, config.milvus_token.get_secret_value()),
                encoders=httpx.AsyncClient(base_url=config.gateway),
                metrics=metrics,
                clock=utc_now,
            ),
            windows=windows,
            metrics=metrics,
            progress=progress,
        )
    )  # fmt: skip
    archive = ArchiveAgent(
        open_reader=lambda: GroupReader(
            config.bootstrap, f"{config.app_id}-archive", [topic for topic, _ in ARCHIVED.values()]
        ),
        writers={dataset: ArchiveWriter(config.archive_dir, dataset) for _, dataset in ARCHIVED.values()},
        others=(user_archive, item_archive),
        metrics=metrics,
        flush_every_s=config.archive_flush_every_s,
    )
    heartbeats = Heartbeats(
        log=event_log,
        meter=LagMeter(
            lambda: connect(config.bootstrap, group=config.app_id), AGENT_TOPICS, progress, partial(_fetched_end, app)
        ),
        worker=Worker(partial(_owned, app), partial(_recovering, app), _give_up),
        metrics=metrics,
        every_s=config.heartbeat_every_s,
        clock=utc_now,
        other_lag=archive.lag,
    )

    @app.timer(interval=1.0, on_leader=False)  # type: ignore[untyped-decorator]
    async def _pulse() -> None:
        heartbeats.pulse()

    return app, Parts(event_log, user_rows, item_rows, follower, archive, heartbeats)


def main() -> None:
    """Runs until a signal; exits with 0 then, and with another status after a crash or a stall."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("aiokafka", "kafka", "httpx", "faust", "mode"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    config = settings()
    config.faust_dir.mkdir(parents=True, exist_ok=True)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    app, parts = build(config)
    _tune_interpreter()
    parts.start()
    worker = faust.Worker(app, loop=loop, quiet=True, override_logging=False, redirect_stdouts=False)
    log.info("streams started: broker %s, state in %s", config.bootstrap, config.faust_dir)
    try:
        worker.execute_from_commandline()
    finally:
        parts.stop()


def _tune_interpreter() -> None:
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def _owned(app: StreamsApp) -> set[tuple[str, int]]:
    return {(tp.topic, tp.partition) for tp in app.consumer.assignment()}


def _recovering(app: StreamsApp) -> int:
    recovery = app.tables.recovery
    return int(recovery.active_remaining_total()) if recovery.in_recovery else 0


def _fetched_end(app: StreamsApp, topic: str, partition: int) -> int | None:
    end = app.monitor.tp_end_offsets.get(faust.types.TP(topic, partition))
    return None if end is None else int(end)


def _give_up(reason: str) -> None:
    log.critical("giving up, to be started anew: %s", reason)
    logging.shutdown()
    os._exit(EXIT_STALLED)


if __name__ == "__main__":
    main()
