"""Noticing a stall: messages wait, polls bring none."""

import secrets
import time
from datetime import timedelta

import pytest
from kafka import TopicPartition
from kafka.cluster import ClusterMetadata
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.structs import ConsumerGroupMetadata, MemberState

from contracts.topics import Topic
from eventlog.admin import create_topics
from eventlog.group import GroupReader
from eventlog.producer import KafkaLog
from eventlog.progress import (
    MAX_FETCH_WAIT_MS,
    STALLED_AFTER_S,
    UNASSIGNED_AFTER_S,
    Progress,
    Unassigned,
    longer_wait_ms,
)
from eventlog.tail import KafkaTail
from tests.suites.event_log import read_all, read_new

PLACE = TopicPartition("t", 0)


class Consumer:
    """One partition at `position` of `watermark`."""

    def __init__(self, position: int, watermark: int | None):
        self._position, self._watermark = position, watermark

    def assignment(self) -> set[TopicPartition]:
        return {PLACE}

    def highwater(self, partition: TopicPartition) -> int | None:
        return self._watermark

    def position(self, partition: TopicPartition, timeout_ms: int) -> int:
        return self._position


class Member:
    """A member with these partitions."""

    def __init__(self, *partitions: TopicPartition, state: MemberState = MemberState.STABLE):
        self._partitions, self._state = set(partitions), state

    def assignment(self) -> set[TopicPartition]:
        return self._partitions

    def group_metadata(self) -> ConsumerGroupMetadata:
        return ConsumerGroupMetadata("g", state=self._state)


class Seconds:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_consumer_that_is_behind_and_polls_nothing_stalls_after_a_while() -> None:
    seconds = Seconds()
    progress = Progress(seconds)
    seconds.now += STALLED_AFTER_S - 1
    assert not progress.stalled(Consumer(5, 9), polled=False)
    seconds.now += 1
    assert progress.stalled(Consumer(5, 9), polled=False)


def test_any_message_or_being_at_the_end_starts_the_wait_anew() -> None:
    seconds = Seconds()
    progress = Progress(seconds)
    for consumer, polled in ((Consumer(5, 9), True), (Consumer(9, 9), False), (Consumer(0, None), False)):
        seconds.now += STALLED_AFTER_S
        assert not progress.stalled(consumer, polled)
        assert not progress.stalled(Consumer(5, 9), polled=False)


def test_a_member_without_partitions_joins_anew_after_ever_longer_waits() -> None:
    seconds = Seconds()
    unassigned = Unassigned(seconds)
    for wait_s in (UNASSIGNED_AFTER_S, 2 * UNASSIGNED_AFTER_S, 4 * UNASSIGNED_AFTER_S):
        assert not unassigned.overdue(Member())
        seconds.now += wait_s - 1
        assert not unassigned.overdue(Member())
        seconds.now += 1
        assert unassigned.overdue(Member())


def test_a_member_that_was_given_partitions_waits_as_briefly_as_at_first() -> None:
    seconds = Seconds()
    unassigned = Unassigned(seconds)
    for member in (Member(), Member(PLACE), Member()):
        assert not unassigned.overdue(member)
        seconds.now += UNASSIGNED_AFTER_S
    assert unassigned.overdue(Member())


def test_a_member_is_left_alone_while_it_joins_however_long_that_takes() -> None:
    seconds = Seconds()
    unassigned = Unassigned(seconds)
    for _ in range(10):
        seconds.now += UNASSIGNED_AFTER_S
        assert not unassigned.overdue(Member(state=MemberState.REBALANCING))
    assert not unassigned.overdue(Member())


def test_a_reader_whose_leader_dealt_out_nothing_reads_all_the_same(
    tansu: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventlog.progress.UNASSIGNED_AFTER_S", 1.0)
    topic = Topic(f"t-{secrets.token_hex(6)}", "key", "bytes", 1, timedelta(days=1), "test", ("test",))
    create_topics(tansu, [topic], embedded=True)
    log = KafkaLog(tansu, "test")
    log.publish(topic, "k", b"1")
    log.flush(10)
    log.close()
    assign, unknowing = RangePartitionAssignor.assign, [ClusterMetadata()]
    monkeypatch.setattr(
        RangePartitionAssignor,
        "assign",
        staticmethod(lambda cluster, members: assign(unknowing.pop() if unknowing else cluster, members)),
    )
    reader = GroupReader(tansu, f"g-{secrets.token_hex(6)}", [topic], session_timeout_s=2.0)
    values, until = [], time.monotonic() + 30
    while not values and time.monotonic() < until:
        values = [message.value for message in reader.poll(0.1)]
    reader.close()
    assert values == [b"1"]
    assert not unknowing


def test_the_fetch_wait_doubles_up_to_a_bound() -> None:
    assert longer_wait_ms(50) == 2 * 50
    assert longer_wait_ms(MAX_FETCH_WAIT_MS) == MAX_FETCH_WAIT_MS


def test_a_tail_that_starts_anew_neither_repeats_nor_skips(tansu: str) -> None:
    topic = Topic(f"t-{secrets.token_hex(6)}", "key", "bytes", 4, timedelta(days=1), "test", ("test",))
    create_topics(tansu, [topic], embedded=True)
    log, tail = KafkaLog(tansu, "test"), KafkaTail(tansu, [topic])
    for n in range(40):
        log.publish(topic, str(n), str(n).encode())
    log.flush(10)
    before = read_all(tail)
    tail._start_anew(tail._opened())
    for n in range(40, 60):
        log.publish(topic, str(n), str(n).encode())
    log.flush(10)
    after = read_new(tail, 20)
    assert sorted(int(m.value or b"") for m in before + after) == list(range(60))
    assert tail.poll(0.2) == []
    tail.close()
    log.close()
