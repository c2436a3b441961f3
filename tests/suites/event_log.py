"""What every event log and its tails do."""

import time
from collections.abc import Callable, Sequence
from typing import Literal

import pytest

from contracts.errors import LogUnavailable
from contracts.ports import EventLog, LoggedMessage, Tail
from contracts.topics import Topic

LOOK_BACK = 10
OpenNewest = Callable[[Sequence[Topic], Sequence[Topic]], Tail]
"""Opens a tail of the first topics; of those that are in the second only the last `LOOK_BACK` messages a partition."""

OpenTail = Callable[[Sequence[Topic], Literal["beginning", "end"]], Tail]


def read_all(tail: Tail, timeout_s: float = 15.0) -> list[LoggedMessage]:
    """Polls until the tail has caught up."""
    deadline = time.monotonic() + timeout_s
    messages: list[LoggedMessage] = []
    while not tail.caught_up():
        assert time.monotonic() < deadline, f"not caught up after {len(messages)} messages"
        messages += tail.poll(0.1)
    return messages


def read_new(tail: Tail, count: int, timeout_s: float = 15.0) -> list[LoggedMessage]:
    """Polls until `count` messages came."""
    deadline = time.monotonic() + timeout_s
    messages: list[LoggedMessage] = []
    while len(messages) < count and time.monotonic() < deadline:
        messages += tail.poll(0.1)
    return messages


class EventLogSuite:
    """Subclasses give `log`, `open_tail`, `open_newest`, `topic`, `other`: each of 4 partitions, of one test alone."""

    @pytest.fixture
    def tails(self, open_tail: OpenTail):  # type: ignore[no-untyped-def]
        opened: list[Tail] = []

        def tail(topics: Sequence[Topic], start: Literal["beginning", "end"] = "beginning") -> Tail:
            opened.append(open_tail(topics, start))
            return opened[-1]

        yield tail
        for each in opened:
            each.close()

    def test_a_published_message_is_acknowledged_and_read(self, log: EventLog, topic: Topic, tails: OpenTail) -> None:
        assert log.publish(topic, "k", b"v").result(10) is None
        (message,) = read_all(tails([topic], "beginning"))
        assert (message.topic, message.key, message.value, message.offset) == (topic.name, b"k", b"v", 0)

    def test_messages_of_one_key_keep_their_order(self, log: EventLog, topic: Topic, tails: OpenTail) -> None:
        for n in range(1000):
            log.publish(topic, f"k-{n % 7}", str(n).encode())
        log.flush(20)
        messages = read_all(tails([topic], "beginning"))
        for key in range(7):
            mine = [int(m.value or b"") for m in messages if m.key == f"k-{key}".encode()]
            assert mine == list(range(key, 1000, 7))

    def test_messages_of_one_key_share_a_partition(self, log: EventLog, topic: Topic, tails: OpenTail) -> None:
        for n in range(60):
            log.publish(topic, f"k-{n % 20}", b"v")
        log.flush(10)
        partitions: dict[bytes | None, set[int]] = {}
        for message in read_all(tails([topic], "beginning")):
            partitions.setdefault(message.key, set()).add(message.partition)
        assert len(partitions) == 20
        assert all(len(found) == 1 for found in partitions.values())
        assert len(set.union(*partitions.values())) > 1

    def test_a_tombstone_has_no_value(self, log: EventLog, topic: Topic, tails: OpenTail) -> None:
        log.publish(topic, "k", None).result(10)
        assert read_all(tails([topic], "beginning"))[0].value is None

    def test_an_empty_topic_is_caught_up_at_once(self, topic: Topic, tails: OpenTail) -> None:
        tail = tails([topic], "beginning")
        assert tail.caught_up()
        assert tail.poll(0.05) == []

    def test_a_batch_of_many_is_caught_up_only_after_its_last(
        self, log: EventLog, topic: Topic, tails: OpenTail
    ) -> None:
        for n in range(100):
            log.publish(topic, "one key, hence one batch", str(n).encode())
        log.flush(10)
        tail = tails([topic], "beginning")
        assert not tail.caught_up()
        assert len(read_all(tail)) == 100

    def test_a_tail_follows_what_comes_after(self, log: EventLog, topic: Topic, tails: OpenTail) -> None:
        log.publish(topic, "k", b"before").result(10)
        tail = tails([topic], "beginning")
        assert [m.value for m in read_all(tail)] == [b"before"]
        log.publish(topic, "k", b"after").result(10)
        assert [m.value for m in read_new(tail, 1)] == [b"after"]
        assert tail.caught_up()

    def test_a_tail_from_the_end_sees_only_what_comes_after(self, log: EventLog, topic: Topic, tails: OpenTail) -> None:
        for n in range(50):
            log.publish(topic, "k", f"before-{n}".encode())
        log.flush(10)
        tail = tails([topic], "end")
        assert tail.caught_up()
        log.publish(topic, "k", b"after").result(10)
        assert [m.value for m in read_new(tail, 1)] == [b"after"]

    def test_of_a_topic_whose_past_does_not_matter_the_last_messages_are_read_and_not_waited_for(
        self, log: EventLog, topic: Topic, other: Topic, open_newest: OpenNewest
    ) -> None:
        for n in range(50):
            log.publish(topic, "k", f"old-{n}".encode())
            log.publish(other, "k", f"whole-{n}".encode())
        log.flush(10)
        tail = open_newest([topic, other], [topic])
        try:
            assert not tail.caught_up(), "the other topic is waited for"
            messages = read_all(tail)
            log.publish(topic, "k", b"after").result(10)
            while not messages or messages[-1].value != b"after":
                messages += read_new(tail, 1)
            assert [m.value for m in messages if m.topic == other.name] == [f"whole-{n}".encode() for n in range(50)]
            seen = [m.value for m in messages if m.topic == topic.name]
            assert seen == [*(f"old-{n}".encode() for n in range(50 - LOOK_BACK, 50)), b"after"]
        finally:
            tail.close()
        alone = open_newest([topic], [topic])
        assert alone.caught_up()
        alone.close()

    def test_a_flush_of_nothing_returns(self, log: EventLog) -> None:
        log.flush(1)

    def test_a_message_larger_than_the_log_takes_is_refused_alone(
        self, log: EventLog, topic: Topic, tails: OpenTail
    ) -> None:
        with pytest.raises(LogUnavailable, match="MessageSizeTooLarge"):
            log.publish(topic, "k", bytes(1_050_000)).result(10)
        large = bytes(1_000_000)
        log.publish(topic, "k", large).result(20)
        log.publish(topic, "k", b"after").result(10)
        assert [message.value for message in read_all(tails([topic], "beginning"))] == [large, b"after"]
