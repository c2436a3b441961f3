"""The event logs and their tails, in memory, on Tansu and on Apache Kafka."""

import secrets
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Literal

import pytest

from contracts.ports import EventLog, Tail
from contracts.topics import Topic
from eventlog.admin import create_topics
from eventlog.memory import MemoryLog, MemoryTail
from eventlog.producer import KafkaLog
from eventlog.tail import KafkaTail
from tests.suites.event_log import LOOK_BACK, EventLogSuite, OpenNewest, OpenTail


@pytest.fixture
def topic() -> Topic:
    return Topic(f"t-{secrets.token_hex(6)}", "key", "bytes", 4, timedelta(days=1), "test", ("test",))


@pytest.fixture
def other() -> Topic:
    return Topic(f"t-{secrets.token_hex(6)}", "key", "bytes", 4, timedelta(days=1), "test", ("test",))


def kafka_newest(bootstrap: str) -> OpenNewest:
    def open_tail(topics: Sequence[Topic], newest_of: Sequence[Topic]) -> Tail:
        tail = KafkaTail(bootstrap, topics, newest_of=newest_of, look_back=LOOK_BACK)
        tail.caught_up()
        return tail

    return open_tail


def kafka_tails(bootstrap: str) -> OpenTail:
    def open_tail(topics: Sequence[Topic], start: Literal["beginning", "end"]) -> Tail:
        tail = KafkaTail(bootstrap, topics, start)
        tail.caught_up()
        return tail

    return open_tail


class TestMemory(EventLogSuite):
    @pytest.fixture
    def log(self) -> EventLog:
        return MemoryLog()

    @pytest.fixture
    def open_tail(self, log: MemoryLog) -> OpenTail:
        return lambda topics, start: MemoryTail(log, topics, start)

    @pytest.fixture
    def open_newest(self, log: MemoryLog) -> OpenNewest:
        return lambda topics, newest_of: MemoryTail(log, topics, newest_of=newest_of, look_back=LOOK_BACK)


class TestTansu(EventLogSuite):
    @pytest.fixture
    def log(self, tansu: str, topic: Topic, other: Topic) -> Iterator[EventLog]:
        create_topics(tansu, [topic, other], embedded=True)
        log = KafkaLog(tansu, "suite")
        yield log
        log.close()

    @pytest.fixture
    def open_tail(self, tansu: str, log: EventLog) -> OpenTail:
        return kafka_tails(tansu)

    @pytest.fixture
    def open_newest(self, tansu: str, log: EventLog) -> OpenNewest:
        return kafka_newest(tansu)


@pytest.mark.real_kafka
class TestApacheKafka(EventLogSuite):
    @pytest.fixture
    def log(self, real_kafka: str, topic: Topic, other: Topic) -> Iterator[EventLog]:
        create_topics(real_kafka, [topic, other], embedded=False)
        log = KafkaLog(real_kafka, "suite")
        yield log
        log.close()

    @pytest.fixture
    def open_tail(self, real_kafka: str, log: EventLog) -> OpenTail:
        return kafka_tails(real_kafka)

    @pytest.fixture
    def open_newest(self, real_kafka: str, log: EventLog) -> OpenNewest:
        return kafka_newest(real_kafka)
