"""What every reader of a consumer group does."""

import time
from collections.abc import Callable, Iterator
from typing import Protocol

import pytest

from contracts.ports import EventLog, LoggedMessage
from contracts.topics import Topic

COUNT = 100


WITHIN_S = 60.0
"""A member that is dealt nothing joins anew after ten seconds; a broker's first group makes it create a topic."""


class Reader(Protocol):
    """A member of a group."""

    def poll(self, timeout_s: float) -> list[LoggedMessage]: ...
    def commit(self) -> None: ...
    def lag(self) -> dict[str, int]: ...
    def close(self) -> None: ...


Join = Callable[[str], Reader]
"""A new member of a group of this name; the one before it is closed."""


def publish(log: EventLog, topic: Topic, start: int, count: int) -> None:
    """Numbered messages under ten keys, acknowledged."""
    for number in range(start, start + count):
        log.publish(topic, f"k-{number % 10}", str(number).encode())
    log.flush(10)


def polled(reader: Reader, count: int) -> list[int]:
    """The numbers of `count` messages, sorted; fewer where no more come in time."""
    deadline = time.monotonic() + WITHIN_S
    numbers: list[int] = []
    while len(numbers) < count and time.monotonic() < deadline:
        numbers += [int(message.value or b"") for message in reader.poll(0.1)]
    return sorted(numbers)


class GroupReaderSuite:
    """Subclasses give `log`, `open_reader` and `topic`: a topic of 4 partitions that no other test uses."""

    @pytest.fixture
    def join(self, open_reader: Join) -> Iterator[Join]:
        members: list[Reader] = []

        def another(group: str) -> Reader:
            if members:
                members[-1].close()
            members.append(open_reader(group))
            return members[-1]

        yield another
        members[-1].close()

    def test_what_was_not_committed_comes_again_to_the_next_member(
        self, log: EventLog, topic: Topic, join: Join
    ) -> None:
        publish(log, topic, 0, COUNT)
        assert polled(join("g"), COUNT) == list(range(COUNT))
        assert polled(join("g"), COUNT) == list(range(COUNT))

    def test_what_was_committed_does_not_come_again(self, log: EventLog, topic: Topic, join: Join) -> None:
        publish(log, topic, 0, COUNT)
        first = join("g")
        assert polled(first, COUNT) == list(range(COUNT))
        first.commit()
        publish(log, topic, COUNT, 5)
        assert polled(join("g"), 5) == list(range(COUNT, COUNT + 5))

    def test_another_group_has_a_progress_of_its_own(self, log: EventLog, topic: Topic, join: Join) -> None:
        publish(log, topic, 0, COUNT)
        first = join("g")
        assert len(polled(first, COUNT)) == COUNT
        first.commit()
        assert polled(join("h"), COUNT) == list(range(COUNT))

    def test_a_commit_before_any_poll_keeps_nothing(self, log: EventLog, topic: Topic, join: Join) -> None:
        publish(log, topic, 0, COUNT)
        join("g").commit()
        assert polled(join("g"), COUNT) == list(range(COUNT))

    def test_messages_of_one_key_keep_their_order_and_bear_their_place(
        self, log: EventLog, topic: Topic, join: Join
    ) -> None:
        publish(log, topic, 0, COUNT)
        reader, messages = join("g"), []
        deadline = time.monotonic() + WITHIN_S
        while len(messages) < COUNT and time.monotonic() < deadline:
            messages += reader.poll(0.1)
        for partition in range(topic.partitions):
            offsets = [message.offset for message in messages if message.partition == partition]
            assert offsets == list(range(len(offsets)))

    def test_the_lag_of_a_member_that_has_polled_everything_is_zero(
        self, log: EventLog, topic: Topic, join: Join
    ) -> None:
        publish(log, topic, 0, COUNT)
        reader = join("g")
        assert len(polled(reader, COUNT)) == COUNT
        assert reader.lag() == {topic.name: 0}
