"""The flow of the streams on one screen: which agent reads what, and where its work goes.

events  --user agent------> user table, user features, item-touches, feedback
item-touches --item agent-> item table, item features, item-features
items   --catalogue agent-> vector index, item-vectors
events, feedback, items, item-vectors --archive agent--> Parquet
whatever cannot be used --> dead-letters

The group (`streams/group.py`) deals partitions to lanes (`streams/lanes.py`); a lane hands its batches to an agent.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from contracts.topics import EVENTS, ITEM_TOUCHES, ITEMS, Topic
from streams.agents.catalogue import BATCH_LIMIT, CatalogueAgent
from streams.agents.items import ItemAgent
from streams.agents.users import UserAgent
from streams.app import StreamsApp, channel_agent
from streams.feature_writer import FeatureWriter
from streams.group import KafkaSource
from streams.lane_work import Hand, LaneContext, LaneRules, LaneWork
from streams.lanes import Lanes
from streams.metrics import StreamMetrics
from streams.progress import Progress
from streams.state.item_features import ItemFeatureState
from streams.state.user_state import UserState
from streams.tables import PartitionedTable
from streams.upkeep import Upkeep

AGENT_TOPICS = (EVENTS, ITEM_TOUCHES, ITEMS)
"""The topics that the agents read."""


@dataclass(frozen=True)
class Flow:
    """What flows: the tables, the agents' work, the writers of their rows, and the upkeep of their states."""

    users: PartitionedTable[UserState]
    items: PartitionedTable[ItemFeatureState]
    user_agent: UserAgent
    item_agent: ItemAgent
    catalogue_agent: CatalogueAgent
    user_rows: "FeatureWriter"  # type: ignore[type-arg]
    item_rows: "FeatureWriter"  # type: ignore[type-arg]
    user_upkeep: Upkeep[UserState]
    item_upkeep: Upkeep[ItemFeatureState]
    metrics: StreamMetrics
    progress: Progress
    healthy: Callable[[], Awaitable[bool]]
    stop: Callable[[Exception], None]


def work_of(flow: Flow) -> dict[str, tuple[Topic, LaneWork, LaneRules]]:
    """What each agent's lanes do, by the agent's name."""

    async def tick_users(partition: int) -> bool:
        more = await flow.user_agent.tick(partition)
        return await flow.user_upkeep.tick(partition) or more

    def folded_to(table: PartitionedTable[Any]) -> Callable[[int], int]:
        return lambda partition: table.progress(partition).mark

    async def close_users(partition: int) -> None:
        flow.user_upkeep.close(partition)
        await flow.user_agent.close(partition)

    async def close_items(partition: int) -> None:
        flow.item_upkeep.close(partition)
        await flow.item_agent.close(partition)

    return {
        "users": (
            EVENTS,
            LaneWork(
                flow.user_agent.process, flow.user_agent.refuse, tick_users, folded_to(flow.users), flow.users.open,
                close_users, flow.user_rows.held, flow.healthy,
            ),
            LaneRules(),
        ),
        "items": (
            ITEM_TOUCHES,
            LaneWork(
                flow.item_agent.process, flow.item_agent.refuse, flow.item_upkeep.tick, folded_to(flow.items),
                flow.items.open, close_items, flow.item_rows.held, flow.healthy,
            ),
            LaneRules(),
        ),
        "catalogue": (
            ITEMS,
            LaneWork(flow.catalogue_agent.process, flow.catalogue_agent.refuse, healthy=flow.healthy),
            LaneRules(limit=BATCH_LIMIT, drain_s=0.5),
        ),
    }  # fmt: skip


def wire(flow: Flow, app: StreamsApp) -> Callable[[KafkaSource], Mapping[str, Lanes]]:
    """Registers a Faust agent for each of the flow's; returns what makes their lanes, by topic, from a source."""
    works = work_of(flow)
    hands: dict[str, Hand] = {name: channel_agent(app, f"{name}-agent") for name in works}

    def lanes(source: KafkaSource) -> Mapping[str, Lanes]:
        context = LaneContext(source, flow.metrics, flow.progress, flow.stop)
        return {
            topic.name: Lanes(name, topic, work, rules, context, hands[name])
            for name, (topic, work, rules) in works.items()
        }

    return lanes
