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
from tests.suites.event_log import EventLogSuite, OpenTail


@pytest.fixture
def topic() -> Topic:
    return Topic(f"t-{secrets.token_hex(6)}", "key", "bytes", 4, timedelta(days=1), "test", ("test",))


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


class TestTansu(EventLogSuite):
    @pytest.fixture
    def log(self, tansu: str, topic: Topic) -> Iterator[EventLog]:
        create_topics(tansu, [topic], embedded=True)
        log = KafkaLog(tansu, "suite")
        yield log
        log.close()

    @pytest.fixture
    def open_tail(self, tansu: str, log: EventLog) -> OpenTail:
        return kafka_tails(tansu)


@pytest.mark.real_kafka
class TestApacheKafka(EventLogSuite):
    @pytest.fixture
    def log(self, real_kafka: str, topic: Topic) -> Iterator[EventLog]:
        create_topics(real_kafka, [topic], embedded=False)
        log = KafkaLog(real_kafka, "suite")
        yield log
        log.close()

    @pytest.fixture
    def open_tail(self, real_kafka: str, log: EventLog) -> OpenTail:
        return kafka_tails(real_kafka)
