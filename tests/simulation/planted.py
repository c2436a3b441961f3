"""Faults planted into the streams, to see that the simulation finds them: what other designs have done wrong, and ours.

Each is a context that a run is made in, or a consumer in place of the simulation's.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from aiokafka import TopicPartition

from contracts.ports import LoggedMessage
from streams import lane, state_db, tables
from streams.feature_writer import FeatureWriter
from streams.group import KafkaSource
from streams.lanes import Lanes
from streams.state_db import StateDb
from tests.simulation import worker
from tests.simulation.group import Consumer


class ForgetfulConsumer(Consumer):
    """A rebalance clears its queues, and what was in them is not read again: reading goes on behind it."""

    queued: dict[TopicPartition, int]

    async def getmany(
        self, where: TopicPartition, timeout_ms: int, max_records: int
    ) -> dict[TopicPartition, list[Any]]:
        found = await super().getmany(where, timeout_ms, max_records)
        self.queued = {**getattr(self, "queued", {}), where: self.positions.get(where, 0)}
        return found

    def placed(self, assigned: set[TopicPartition]) -> None:
        super().placed(assigned)
        for where in assigned & getattr(self, "queued", {}).keys():
            self.positions[where] = max(self.positions[where], self.queued[where])


@contextmanager
def _without_the_gap_guard() -> Iterator[None]:
    with (
        mock.patch.object(lane.Lane, "_without_a_gap", lambda _, batch: batch),
        mock.patch.object(KafkaSource, "seek", return_value=None),
    ):
        yield


@contextmanager
def _read_again_counts_as_read() -> Iterator[None]:
    """What was received before a rebalance is taken for done when it comes again."""
    received: dict[tuple[int, int], int] = {}

    def passed_over(self: Any, batch: list[LoggedMessage]) -> list[LoggedMessage]:
        place = id(self._lanes), self._partition
        before = received.get(place, -1)
        received[place] = max([before, *(message.offset for message in batch)])
        left = [message for message in batch if message.offset > before]
        if batch and not left:
            self._next = self._done = batch[-1].offset + 1
        return left

    with mock.patch.object(lane.Lane, "_without_a_gap", passed_over):
        yield


@contextmanager
def _commits_one_too_many() -> Iterator[None]:
    safe_offsets = Lanes.safe_offsets

    def one_more(self: Lanes) -> dict[int, int]:
        return {partition: offset + 1 for partition, offset in safe_offsets(self).items()}

    with mock.patch.object(Lanes, "safe_offsets", one_more):
        yield


@contextmanager
def _commits_what_was_received() -> Iterator[None]:
    def received(self: Lanes) -> dict[int, int]:
        found = {number: self.context.progress.next_received(self.topic.name, number) for number in self._lanes}
        return {number: offset for number, offset in found.items() if offset is not None}

    with mock.patch.object(Lanes, "safe_offsets", received):
        yield


@contextmanager
def _offset_before_value() -> Iterator[None]:
    """The changelog's offset is on the disk before the values are."""

    class OffsetFirst(worker.SimDb):
        def apply(self, records: Any, applied: int, muted_until: int | None = None) -> list[bytes]:
            self.life.disk()
            StateDb.apply(self, [], applied, muted_until)
            return super().apply(records, applied, muted_until)

    with mock.patch.object(worker, "SimDb", OffsetFirst), mock.patch("tests.simulation.world.SimDb", OffsetFirst):
        yield


@contextmanager
def _last_write_wins() -> Iterator[None]:
    """Of two states of a key the one that stands later in the changelog is kept, whatever it is folded to."""
    upsert = state_db._UPSERT.replace("WHERE excluded.mark >= states.mark", "WHERE 1")
    with mock.patch.object(state_db, "_UPSERT", upsert):
        yield


@contextmanager
def _commits_what_is_not_written() -> Iterator[None]:
    with mock.patch.object(FeatureWriter, "held", return_value=None):
        yield


@contextmanager
def _older_states_stay() -> Iterator[None]:
    """An older state behind a newer one is left in the changelog."""

    async def nothing(*_: object) -> None:
        """Mends nothing."""

    with mock.patch.object(tables.PartitionedTable, "_repair", nothing):
        yield


Planted = Callable[[], Any]

PLANTED: dict[str, tuple[type[Consumer], Sequence[Planted]]] = {
    "a rebalance skips what was queued": (ForgetfulConsumer, [_without_the_gap_guard]),
    "what is read again counts as read": (Consumer, [_read_again_counts_as_read]),
    "a commit is off by one": (Consumer, [_commits_one_too_many]),
    "what was received is committed": (Consumer, [_commits_what_was_received]),
    "the offset is noted before the value": (Consumer, [_offset_before_value]),
    "the last write wins": (Consumer, [_last_write_wins]),
    "what is not written is committed": (Consumer, [_commits_what_is_not_written]),
    "older states stay in the changelog": (Consumer, [_older_states_stay]),
}


@contextmanager
def planted(name: str) -> Iterator[type[Consumer]]:
    """The streams with one fault of `PLANTED`; yields the consumer to run them with."""
    consumer, patches = PLANTED[name]
    with ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch())
        yield consumer
