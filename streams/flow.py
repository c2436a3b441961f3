"""The flow of the streams on one screen: which agent reads what, and where its work goes.

events  --user agent------> user table, user features, item-touches, feedback
item-touches --item agent-> item table, item features, item-features
items   --catalogue agent-> vector index, item-vectors
events, feedback, items, item-vectors --archive agent--> Parquet
whatever cannot be used --> dead-letters
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import faust

from contracts.ports import LoggedMessage
from contracts.topics import EVENTS, ITEM_TOUCHES, ITEMS
from streams.agents.catalogue import BATCH_LIMIT, CatalogueAgent
from streams.agents.items import ItemAgent
from streams.agents.users import UserAgent
from streams.app import StreamsApp, raw_topics
from streams.lanes import LaneRules, Lanes, LaneWork
from streams.metrics import StreamMetrics
from streams.open_windows import OpenWindows
from streams.progress import Progress
from streams.state.item_features import ItemFeatureState
from streams.state.user_state import UserState
from streams.tables import PartitionedTable

log = logging.getLogger(__name__)

AGENT_TOPICS = (EVENTS, ITEM_TOUCHES, ITEMS)
"""The topics that the Faust agents read."""

RESTORED_BEFORE_YIELD = 100

CHANGELOG_BUFFER = 20_000
"""Changelog messages on their way before Faust stops reading. Its own 100 is fewer than one batch's: reading stalls."""


@dataclass(frozen=True)
class Flow:
    """What flows: the app, its tables and the agents' work."""

    app: StreamsApp
    users: PartitionedTable[UserState]
    items: PartitionedTable[ItemFeatureState]
    user_agent: UserAgent
    item_agent: ItemAgent
    catalogue_agent: CatalogueAgent
    windows: OpenWindows
    metrics: StreamMetrics
    progress: Progress


def wire(flow: Flow) -> None:
    """Registers the agents and what happens at a rebalance and at the end."""
    app, topics = flow.app, raw_topics(flow.app)

    def lanes(name: str, work: LaneWork, rules: LaneRules) -> Lanes:
        return Lanes(name, work, rules, flow.metrics, flow.progress)

    users = lanes("users", LaneWork(flow.user_agent.process, flow.user_agent.refuse, flow.user_agent.tick), LaneRules())
    items = lanes("items", LaneWork(flow.item_agent.process, flow.item_agent.refuse), LaneRules())
    catalogue = lanes(
        "catalogue",
        LaneWork(flow.catalogue_agent.process, flow.catalogue_agent.refuse),
        # No bound: a full lane would hold up the other topics of the consumer while the encoders are away.
        LaneRules(limit=BATCH_LIMIT, capacity=0, drain_s=0.5),
    )
    for name, of_agent in ((EVENTS.name, users), (ITEM_TOUCHES.name, items), (ITEMS.name, catalogue)):
        app.agent(topics[name], name=f"{name}-agent")(_feeding(of_agent))

    async def revoke() -> None:
        await asyncio.gather(users.revoke(), items.revoke(), catalogue.revoke())
        flow.windows.forget()

    @app.on_partitions_revoked.connect(weak=False)  # type: ignore[untyped-decorator]
    async def _on_revoked(app: StreamsApp, revoked: set[object], **_: object) -> None:
        await revoke()
        await app.consumer.commit()

    @app.on_rebalance_complete.connect(weak=False)  # type: ignore[untyped-decorator]
    async def _on_complete(app: StreamsApp, **_: object) -> None:
        app.producer.buffer.max_messages = CHANGELOG_BUFFER
        app.add_future(restore(flow))

    async def _on_stop() -> None:
        await revoke()

    app.before_stop = _on_stop


def owned_partitions(app: faust.App, topic: str) -> set[int]:
    """The partitions of a topic that are assigned to this worker now."""
    return {tp.partition for tp in app.consumer.assignment() if tp.topic == topic}


async def restore(flow: Flow) -> None:
    """After a start or a rebalance: offers the rows of owned states again and notes their open windows."""
    count = 0
    for topic, table, agent in (
        (EVENTS.name, flow.users, flow.user_agent),
        (ITEM_TOUCHES.name, flow.items, flow.item_agent),
    ):
        rows: list[Callable[[], None]] = []
        for partition, key, state in table.owned(owned_partitions(flow.app, topic)):
            rows.append(partial(agent.restore, partition, key, state))  # type: ignore[arg-type]
        for offer in rows:
            offer()
            count += 1
            if count % RESTORED_BEFORE_YIELD == 0:
                await asyncio.sleep(0)
    log.info("restored %d states of owned partitions", count)


def _feeding(lanes: Lanes) -> Callable[[faust.Stream], Awaitable[None]]:
    async def feed(stream: faust.Stream) -> None:
        async for event in stream.noack().events():
            message = event.message
            await lanes.put(
                LoggedMessage(message.topic, message.partition, message.offset, message.key, message.value),
                partial(stream.ack, event),
            )

    return feed
