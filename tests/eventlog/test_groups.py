"""The readers of consumer groups, in memory, on Tansu and on Apache Kafka."""

import secrets
from collections.abc import Iterator
from datetime import timedelta

import pytest

from contracts.ports import EventLog
from contracts.topics import Topic
from eventlog.admin import create_topics
from eventlog.group import GroupReader
from eventlog.memory import MemoryLog
from eventlog.memory_group import MemoryGroup, Places
from eventlog.producer import KafkaLog
from tests.suites.group_reader import GroupReaderSuite, Join, polled, publish


def made_up() -> Topic:
    return Topic(f"t-{secrets.token_hex(6)}", "key", "bytes", 4, timedelta(days=1), "test", ("test",))


class TestMemory(GroupReaderSuite):
    @pytest.fixture
    def topic(self) -> Topic:
        return made_up()

    @pytest.fixture
    def log(self) -> EventLog:
        return MemoryLog()

    @pytest.fixture
    def open_reader(self, log: MemoryLog, topic: Topic) -> Join:
        progress: dict[str, Places] = {}
        return lambda group: MemoryGroup(log, [topic], progress.setdefault(group, {}), max_messages=30)

    def test_a_rebalance_brings_what_was_not_committed_again(self, log: MemoryLog, topic: Topic) -> None:
        reader = MemoryGroup(log, [topic])
        publish(log, topic, 0, 10)
        assert polled(reader, 10) == list(range(10))
        reader.commit()
        publish(log, topic, 10, 5)
        assert polled(reader, 5) == list(range(10, 15))
        reader.rejoin()
        assert polled(reader, 5) == list(range(10, 15))


class OnABroker(GroupReaderSuite):
    @pytest.fixture
    def log(self, bootstrap: str) -> Iterator[EventLog]:
        made = KafkaLog(bootstrap, "test")
        yield made
        made.close()

    @pytest.fixture
    def open_reader(self, bootstrap: str, topic: Topic) -> Join:
        unique = secrets.token_hex(4)
        return lambda group: GroupReader(bootstrap, f"{group}-{unique}", [topic])


class TestTansu(OnABroker):
    @pytest.fixture
    def bootstrap(self, tansu: str) -> str:
        return tansu

    @pytest.fixture
    def topic(self, bootstrap: str) -> Topic:
        create_topics(bootstrap, [topic := made_up()], embedded=True)
        return topic


@pytest.mark.real_kafka
class TestApacheKafka(OnABroker):
    @pytest.fixture
    def bootstrap(self, real_kafka: str) -> str:
        return real_kafka

    @pytest.fixture
    def topic(self, bootstrap: str) -> Topic:
        create_topics(bootstrap, [topic := made_up()], embedded=False)
        return topic
