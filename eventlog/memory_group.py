"""A consumer group in memory: the double of `GroupReader` for tests and single-process trials."""

from collections.abc import Sequence

from contracts.ports import LoggedMessage
from contracts.topics import Topic
from eventlog.memory import MemoryLog

Places = dict[tuple[str, int], int]
"""The next offset to read, by topic and partition."""


class MemoryGroup:
    """The only member of a group over a `MemoryLog`; `poll` never waits.

    Like the real one it begins at what the group has committed, so what was polled and not committed comes again to the
    next member, and `rejoin` plays a rebalance: it comes again to this one.

    Args:
        source: The log.
        topics: The topics to read.
        committed: The group's progress, shared by the members that follow one another; `commit` writes it.
        max_messages: The most that one `poll` returns.
    """

    def __init__(
        self, source: MemoryLog, topics: Sequence[Topic], committed: Places | None = None, max_messages: int = 500
    ) -> None:
        self._source = source
        self._topics = tuple(topics)
        self.committed: Places = {} if committed is None else committed
        self._max_messages = max_messages
        self._places: Places = {}
        self.commits = 0
        self.rejoin()

    def rejoin(self) -> None:
        """Goes back to what the group has committed, as after a rebalance."""
        self._places = {
            (topic.name, partition): self.committed.get((topic.name, partition), 0)
            for topic in self._topics
            for partition in range(topic.partitions)
        }

    def poll(self, timeout_s: float) -> list[LoggedMessage]:
        """The next messages, maybe none. Raises LogUnavailable while the log is switched off."""
        self._source.flush(0)
        messages: list[LoggedMessage] = []
        for (topic, partition), offset in self._places.items():
            new = self._source.read(topic, partition, offset)[: self._max_messages - len(messages)]
            self._places[topic, partition] = offset + len(new)
            messages += new
        return messages

    def commit(self) -> None:
        """Keeps the group's progress up to what was polled. Raises LogUnavailable while the log is switched off."""
        self._source.flush(0)
        self.committed.update(self._places)
        self.commits += 1

    def lag(self) -> dict[str, int]:
        """Messages not yet polled by this member, by topic."""
        behind = {topic.name: 0 for topic in self._topics}
        for (topic, partition), offset in self._places.items():
            behind[topic] += len(self._source.read(topic, partition, offset))
        return behind

    def close(self) -> None:
        """Leaves the group without committing."""
