"""The Faust application: settings, raw topics of the wiring map, and the two tables. No agent is registered here.

Bytes go in and come out: decoding is the agents' work, since a message that Faust cannot decode crashes its agent.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import faust

from contracts.settings import Settings
from contracts.topics import EVENTS, ITEM_TOUCHES, TOPICS
from streams.transport.tansu import TansuTransport

SESSION_TIMEOUT_S = 6.0
"""On Tansu a join takes half of it."""


class StreamsApp(faust.App):  # type: ignore[misc]
    """A Faust app with the embedded broker's transport where that broker is used, and a hook before it stops."""

    embedded_broker: bool = False
    before_stop: Callable[[], Awaitable[None]] | None = None

    def _new_transport(self) -> Any:
        if self.embedded_broker:
            return TansuTransport(self.conf.broker_consumer, self)
        return super()._new_transport()

    async def on_stop(self) -> None:
        """Called by Faust first of all when the worker stops."""
        if self.before_stop is not None:
            await self.before_stop()
        await super().on_stop()


def create_app(
    settings: Settings, *, broker: str | None = None, store: str = "rocksdb://", replicas: int = 1
) -> StreamsApp:
    """The application with its topics and tables.

    Args:
        settings: Addresses, ids and directories.
        broker: Another broker's URL; for tests.
        store: Where tables are kept; `memory://` in tests.
        replicas: Of the tables' changelog topics.
    """
    servers = ";".join(f"kafka://{server}" for server in settings.bootstrap.split(","))
    app = StreamsApp(
        settings.app_id,
        broker=broker or servers,
        store=store,
        datadir=str(settings.faust_dir),
        web_enabled=False,
        autodiscover=False,
        topic_disable_leader=True,
        topic_partitions=EVENTS.partitions,
        topic_replication_factor=replicas,
        table_standby_replicas=0,
        broker_session_timeout=SESSION_TIMEOUT_S,
        broker_heartbeat_interval=1.0,
        broker_rebalance_timeout=30.0,
        broker_commit_interval=0.5,
        producer_linger=0.02,
        producer_max_batch_size=262_144,
        producer_max_request_size=8_000_000,
        producer_acks=-1,
        # The lanes finish their batches at a rebalance themselves, within a bound: Faust's own waiting has none, and
        # the catalogue agent may wait for the encoders for long.
        stream_wait_empty=False,
        stream_buffer_maxsize=4096,
        consumer_auto_offset_reset="earliest",
        value_serializer="raw",
        key_serializer="raw",
    )
    app.embedded_broker = settings.embedded_broker
    return app


def raw_topics(app: faust.App) -> dict[str, faust.Topic]:
    """Every topic of the wiring map as a topic of raw bytes, by name."""
    return {
        topic.name: app.topic(
            topic.name,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            partitions=topic.partitions,
        )
        for topic in TOPICS
    }


def user_table(app: faust.App) -> faust.Table:
    """Raw states of users, in the partitions of `events`."""
    return app.Table("users", key_type=bytes, value_type=bytes, partitions=EVENTS.partitions)


def item_table(app: faust.App) -> faust.Table:
    """Raw states of items, in the partitions of `item-touches`."""
    return app.Table("item-states", key_type=bytes, value_type=bytes, partitions=ITEM_TOUCHES.partitions)
