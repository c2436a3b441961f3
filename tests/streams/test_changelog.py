"""The changelogs, in memory, on Tansu and on Apache Kafka; and where a partition ends."""

import secrets
from collections.abc import AsyncIterator

import aiokafka
import pytest
from aiokafka import TopicPartition

from contracts.errors import LogUnavailable, UnknownFormat
from contracts.topics import TRACES, Topic
from eventlog.admin import create_topics
from eventlog.producer import KafkaLog
from streams.changelog import REBUILT, Changelog, KafkaChangelog, rebuilt
from streams.changelogs import CHANGELOG_PRODUCER
from streams.ends import end_of
from streams.memory import MemoryChangelog
from streams.state_db import Rebuilt, Record
from tests.suites.changelog import ChangelogSuite, read_all, record


async def kafka_changelogs(bootstrap: str, embedded: bool) -> AsyncIterator[tuple[KafkaChangelog, KafkaChangelog]]:
    topic = Topic(f"t-{secrets.token_hex(6)}", "key", "state", 4, None, "test", ("test",))
    create_topics(bootstrap, [topic], embedded)
    both = KafkaChangelog(bootstrap, topic.name), KafkaChangelog(bootstrap, topic.name)
    for changelog in both:
        changelog.producer = aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, **CHANGELOG_PRODUCER)
        await changelog.producer.start()
    yield both
    for changelog in both:
        await changelog.producer.stop()


class TestMemoryChangelog(ChangelogSuite):
    @pytest.fixture
    def ours(self) -> Changelog:
        return MemoryChangelog()

    @pytest.fixture
    def theirs(self, ours: Changelog) -> Changelog:
        return ours


class OverKafka(ChangelogSuite):
    @pytest.fixture
    def ours(self, both: tuple[Changelog, Changelog]) -> Changelog:
        return both[0]

    @pytest.fixture
    def theirs(self, both: tuple[Changelog, Changelog]) -> Changelog:
        return both[1]


class TestTansuChangelog(OverKafka):
    @pytest.fixture
    async def both(self, tansu: str) -> AsyncIterator[tuple[KafkaChangelog, KafkaChangelog]]:
        async for changelogs in kafka_changelogs(tansu, embedded=True):
            yield changelogs


@pytest.mark.real_kafka
class TestApacheKafkaChangelog(OverKafka):
    @pytest.fixture
    async def both(self, real_kafka: str) -> AsyncIterator[tuple[KafkaChangelog, KafkaChangelog]]:
        async for changelogs in kafka_changelogs(real_kafka, embedded=False):
            yield changelogs


async def test_a_record_without_our_headers_is_of_an_unknown_format_and_says_what_to_do(tansu: str) -> None:
    async for ours, _ in kafka_changelogs(tansu, embedded=True):
        await ours.append(0, [record("ann", 1)])
        await ours.producer.send_and_wait(ours._topic, b"state", b"bob", partition=0)
        with pytest.raises(UnknownFormat, match=r"at offset 1 of the changelog .*run `millstream rebuild`"):
            await read_all(ours, 0)


async def test_a_changelog_without_a_broker_is_unavailable() -> None:
    with pytest.raises(LogUnavailable, match="check the broker"):
        await KafkaChangelog("127.0.0.1:1", "nowhere").bounds(0)


def test_the_newest_note_of_a_rebuild_counts() -> None:
    numbered = [(0, Record(REBUILT, b"one", 5)), (1, record("ann", 6)), (2, Record(REBUILT, b"two", 9))]
    assert rebuilt(numbered) == Rebuilt(9, b"two")
    assert rebuilt(numbered[1:2]) is None


async def test_the_end_counts_every_record_of_a_batch(tansu: str) -> None:
    consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=tansu, group_id=None, enable_auto_commit=False)
    await consumer.start()
    where, empty = TopicPartition(TRACES.name, 0), TopicPartition("model-versions", 0)
    consumer.assign([where, empty])
    before = await end_of(consumer, where)
    log = KafkaLog(tansu, "ends-test", 50)
    for number in range(100):
        log.publish(TRACES, f"key-{number}", b"{}")
    log.flush(10)
    log.close()
    assert await end_of(consumer, where) == before + 100
    assert await end_of(consumer, empty) == 0
    await consumer.stop()
