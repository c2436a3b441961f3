"""Noticing a stall: messages wait, polls bring none."""

import secrets
from datetime import timedelta

from kafka import TopicPartition

from contracts.topics import Topic
from eventlog.admin import create_topics
from eventlog.producer import KafkaLog
from eventlog.progress import MAX_FETCH_WAIT_MS, STALLED_AFTER_S, Progress, longer_wait_ms
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
