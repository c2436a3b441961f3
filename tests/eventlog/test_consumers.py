"""Tails and group readers on the broker of the local stack: outage, replaced log, redelivery, lag."""

import secrets
import time
from datetime import timedelta

import pytest

from contracts.errors import LogUnavailable
from contracts.topics import EVENTS, TOPICS, Topic
from eventlog.admin import create_topics
from eventlog.group import GroupReader
from eventlog.lag import committed_offsets, group_lag, message_counts
from eventlog.producer import KafkaLog
from eventlog.tail import KafkaTail, wait_until_caught_up
from tests.builders import servers
from tests.suites.event_log import read_new


@pytest.fixture(params=["tansu", pytest.param("real_kafka", marks=pytest.mark.real_kafka)])
def bootstrap(request: pytest.FixtureRequest) -> str:
    address: str = request.getfixturevalue(request.param)
    return address


@pytest.fixture
def topic(bootstrap: str, request: pytest.FixtureRequest) -> Topic:
    topic = Topic(f"t-{secrets.token_hex(6)}", "key", "bytes", 4, timedelta(days=1), "test", ("test",))
    create_topics(bootstrap, [topic], embedded="tansu" in request.node.name)
    return topic


def published(bootstrap: str, topic: Topic, count: int) -> None:
    log = KafkaLog(bootstrap, "test")
    for n in range(count):
        log.publish(topic, f"k-{n % 10}", str(n).encode())
    log.flush(10)
    log.close()


def poll(reader: GroupReader, count: int) -> list[int]:
    deadline = time.monotonic() + 20
    values: list[int] = []
    while len(values) < count and time.monotonic() < deadline:
        values += [int(message.value or b"") for message in reader.poll(0.1)]
    return sorted(values)


def test_what_was_not_committed_comes_again_and_what_was_does_not(bootstrap: str, topic: Topic) -> None:
    published(bootstrap, topic, 100)
    group = secrets.token_hex(4)
    first = GroupReader(bootstrap, group, [topic], session_timeout_s=6)
    assert poll(first, 100) == list(range(100))
    first.close()
    second = GroupReader(bootstrap, group, [topic], session_timeout_s=6)
    assert poll(second, 100) == list(range(100))
    second.commit()
    second.close()
    published(bootstrap, topic, 5)
    third = GroupReader(bootstrap, group, [topic], session_timeout_s=6)
    assert poll(third, 5) == list(range(5))
    third.close()


def test_lag_counts_what_is_not_committed_of_large_batches_too(bootstrap: str, topic: Topic) -> None:
    published(bootstrap, topic, 300)
    group = secrets.token_hex(4)
    assert group_lag(bootstrap, group, [topic]) == {topic.name: 300}
    reader = GroupReader(bootstrap, group, [topic])
    assert reader.lag() == {topic.name: 0}
    assert len(poll(reader, 300)) == 300
    assert reader.lag() == {topic.name: 0}
    reader.commit()
    reader.close()
    assert group_lag(bootstrap, group, [topic]) == {topic.name: 0}
    published(bootstrap, topic, 20)
    assert group_lag(bootstrap, group, [topic]) == {topic.name: 20}
    assert sum(committed_offsets(bootstrap, group, topic).values()) == 300
    assert committed_offsets(bootstrap, "nobody", topic) == dict.fromkeys(range(topic.partitions), 0)
    assert message_counts(bootstrap, [topic]) == {topic.name: 300 + 20}


def test_a_commit_before_anything_was_read_lets_everything_come(bootstrap: str, topic: Topic) -> None:
    published(bootstrap, topic, 20)
    group = secrets.token_hex(4)
    reader = GroupReader(bootstrap, group, [topic], session_timeout_s=6)
    reader.commit()
    reader.close()
    assert group_lag(bootstrap, group, [topic]) == {topic.name: 20}
    following = GroupReader(bootstrap, group, [topic], session_timeout_s=6)
    assert poll(following, 20) == list(range(20))
    following.close()


def test_topics_are_created_once_with_their_partitions(bootstrap: str, topic: Topic) -> None:
    assert create_topics(bootstrap, [topic], embedded=True) == ()
    tail = KafkaTail(bootstrap, [topic])
    tail.poll(0.05)
    published(bootstrap, topic, 200)
    assert {message.partition for message in read_new(tail, 200)} == set(range(topic.partitions))
    tail.close()


def test_a_tail_without_a_broker_is_unavailable() -> None:
    tail = KafkaTail("127.0.0.1:1", [EVENTS])
    with pytest.raises(LogUnavailable, match="check that the broker runs"):
        tail.poll(0.1)


def test_a_tail_of_a_topic_never_created_tells_what_to_do(bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventlog.ends.TOPIC_TIMEOUT_S", 0.2)
    missing = Topic("never-created", "key", "bytes", 1, None, "test", ("test",))
    with pytest.raises(LogUnavailable, match="run create_topics first"):
        KafkaTail(bootstrap, [missing]).poll(0.1)


def test_consumers_read_a_restarted_tansu_from_its_new_beginning() -> None:
    with servers.running(servers.tansu()) as server:
        create_topics(server.address, TOPICS, embedded=True)
        published(server.address, EVENTS, 50)
        tail, reader = KafkaTail(server.address, [EVENTS]), GroupReader(server.address, "g", [EVENTS])
        assert len(wait_until_caught_up(tail, 10)) == 50
        assert len(poll(reader, 50)) == 50
        reader.commit()
        server.kill()
        assert tail.poll(0.2) == []
        server.start()
        create_topics(server.address, TOPICS, embedded=True)
        published(server.address, EVENTS, 3)
        assert [message.value for message in sorted(read_new(tail, 3), key=lambda m: m.value or b"")] == [
            b"0", b"1", b"2",
        ]  # fmt: skip
        assert poll(reader, 3) == [0, 1, 2]
        tail.close()
        reader.close()
