"""The lanes of an agent, as the group deals partitions out and takes them back. What a lane does: `streams/lane.py`."""

import asyncio
from collections.abc import Iterable

from contracts.topics import Topic
from streams.lane import Lane, OfAgent
from streams.lane_work import Hand, LaneContext, LaneRules, LaneWork, start_here


class Lanes:
    """The lanes of one agent: opened when the group deals out partitions, finished when it takes them back.

    Args:
        agent: Name in metrics and logs.
        topic: What it reads.
        work: What to do.
        rules: How to batch.
        context: What is shared.
        hand: Who runs a batch.
    """

    def __init__(
        self, agent: str, topic: Topic, work: LaneWork, rules: LaneRules, context: LaneContext, hand: Hand = start_here
    ):
        self.topic = topic
        self._work = work
        self._shared = OfAgent(agent, topic, work, rules, context, hand)
        self._lanes: dict[int, Lane] = {}

    def assign(self, partitions: Iterable[int]) -> None:
        """Opens a lane for each of the partitions; returns at once."""
        for partition in partitions:
            self._lanes[partition] = Lane(self._shared, partition)

    async def finish(self) -> None:
        """Finishes the batches in work, within `drain_s`, and ends the lanes; `safe_offsets` still answers."""
        await asyncio.gather(*(lane.finish() for lane in self._lanes.values()))

    async def close(self) -> None:
        """Closes the states of the finished lanes and forgets them."""
        lanes, self._lanes = self._lanes, {}
        await asyncio.gather(*(self._work.close(partition) for partition in lanes))

    def owned(self) -> set[int]:
        """Partitions with a lane."""
        return set(self._lanes)

    def opening(self) -> dict[int, int]:
        """Partitions whose states are being read, with the changelog messages applied so far."""
        return {partition: lane.restored for partition, lane in self._lanes.items() if not lane.open}

    def held(self) -> bool:
        """Whether outputs of what is done still wait to be written."""
        return any(self._work.held(partition) is not None for partition in self._lanes)

    def safe_offsets(self) -> dict[int, int]:
        """By partition, the offset that may be committed: everything before it is done and written."""
        offsets = {partition: lane.safe_offset() for partition, lane in self._lanes.items()}
        return {partition: offset for partition, offset in offsets.items() if offset is not None}
