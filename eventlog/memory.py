"""The log in memory: doubles of `KafkaLog` and `KafkaTail` for tests and single-process trials."""

import threading
import zlib
from collections.abc import Collection, Sequence
from concurrent.futures import Future
from typing import Literal

from contracts.errors import LogUnavailable, MessageTooLarge
from contracts.ports import LoggedMessage
from contracts.topics import Topic

MESSAGE_MAX_BYTES = 1024 * 1024
"""What Kafka's clients and brokers take in one message unless they are configured otherwise."""


class MemoryLog:
    """Implements `contracts.ports.EventLog` and keeps every message readable; safe to share between threads.

    Set `available` to False to play an outage: `publish` then fails its future. As by a broker, a message of more than
    `MESSAGE_MAX_BYTES` is refused alone.
    """

    def __init__(self) -> None:
        self.available = True
        self._lock = threading.Lock()
        self._partitions: dict[tuple[str, int], list[LoggedMessage]] = {}

    def publish(self, topic: Topic, key: str, value: bytes | None) -> Future[None]:
        """Keeps the message and returns a future that is done already."""
        acknowledged: Future[None] = Future()
        if not self.available:
            acknowledged.set_exception(LogUnavailable("found the log switched off; expected it available"))
            return acknowledged
        size = len(key.encode()) + len(value or b"")
        if size > MESSAGE_MAX_BYTES:
            acknowledged.set_exception(
                MessageTooLarge(
                    f"found a message of {size} bytes (MessageSizeTooLarge); expected at most {MESSAGE_MAX_BYTES}; "
                    "send less in one message"
                )
            )
            return acknowledged
        partition = zlib.crc32(key.encode()) % topic.partitions
        with self._lock:
            kept = self._partitions.setdefault((topic.name, partition), [])
            kept.append(LoggedMessage(topic.name, partition, len(kept), key.encode(), value))
        acknowledged.set_result(None)
        return acknowledged

    def flush(self, timeout_s: float) -> None:
        """Raises LogUnavailable while switched off; else there is nothing to wait for."""
        if not self.available:
            raise LogUnavailable("found the log switched off; expected it available")

    def close(self) -> None:
        """Nothing to release."""

    def messages(self, topic: Topic) -> list[LoggedMessage]:
        """All messages of the topic, by partition and offset."""
        with self._lock:
            return [
                message
                for partition in range(topic.partitions)
                for message in self._partitions.get((topic.name, partition), ())
            ]

    def read(self, topic: str, partition: int, offset: int) -> list[LoggedMessage]:
        """The messages of one partition from `offset` on."""
        with self._lock:
            return self._partitions.get((topic, partition), [])[offset:]


class MemoryTail:
    """Implements `contracts.ports.Tail` over a `MemoryLog`; `poll` never waits."""

    def __init__(
        self,
        source: MemoryLog,
        topics: Sequence[Topic],
        start: Literal["beginning", "end"] = "beginning",
        *,
        newest_of: Collection[Topic] = (),
        look_back: int = 2_000,
    ):
        self._source = source
        self._positions: dict[tuple[str, int], int] = {}
        self._targets: dict[tuple[str, int], int] = {}
        for topic in topics:
            for partition in range(topic.partitions):
                end = len(source.read(topic.name, partition, 0))
                first = max(0, end - look_back) if topic in newest_of else 0
                self._positions[topic.name, partition] = first if start == "beginning" else end
                self._targets[topic.name, partition] = 0 if topic in newest_of else end

    def poll(self, timeout_s: float) -> list[LoggedMessage]:
        """The next messages, maybe none. Raises LogUnavailable while the log is switched off."""
        self._source.flush(0)
        messages: list[LoggedMessage] = []
        for (topic, partition), position in self._positions.items():
            new = self._source.read(topic, partition, position)
            self._positions[topic, partition] = position + len(new)
            messages += new
        return messages

    def caught_up(self) -> bool:
        """Whether everything that was there when the tail was opened has been polled."""
        return all(self._positions[place] >= target for place, target in self._targets.items())

    def close(self) -> None:
        """Nothing to release."""
