"""How far the streams are behind: the ends of their topics against what is done and what was committed."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from contracts.errors import LogUnavailable
from contracts.topics import Topic
from streams.health import Observation
from streams.progress import Progress


@dataclass(frozen=True)
class Measured:
    """Messages not yet done by topic, and what the watchdog looks at."""

    lag: dict[str, int]
    observations: list[Observation]


class LagMeter:
    """Measures; for one thread.

    Args:
        connect: Opens a consumer of the streams' group that never joins it.
        topics: The topics of the agents.
        progress: What this process received and has done.
        fetched_end: The high watermark that this process's own fetches saw; None where they saw none. On Tansu the
            broker's own answer is only a lower bound.
    """

    def __init__(
        self,
        connect: Callable[[], KafkaConsumer],
        topics: Sequence[Topic],
        progress: Progress,
        fetched_end: Callable[[str, int], int | None],
    ):
        self._connect = connect
        self._topics = topics
        self._progress = progress
        self._fetched_end = fetched_end
        self._consumer: KafkaConsumer | None = None

    def measure(self, owned: Collection[tuple[str, int]]) -> Measured:
        """The lag of all partitions, and observations of the owned ones: a worker may own none while others do.

        Raises:
            LogUnavailable: the broker does not answer.
        """
        try:
            return self._measured(owned)
        except KafkaError as error:
            self.close()
            raise LogUnavailable(f"found {type(error).__name__} ({error}); expected the topics' ends") from error

    def close(self) -> None:
        """Releases the connection; the next measuring opens it again."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close(autocommit=False, timeout_ms=1000)

    def _measured(self, owned: Collection[tuple[str, int]]) -> Measured:
        if self._consumer is None:
            self._consumer = self._connect()
        partitions = [
            TopicPartition(topic.name, number) for topic in self._topics for number in range(topic.partitions)
        ]
        ends = self._consumer.end_offsets(partitions, timeout_ms=5000)
        lag = {topic.name: 0 for topic in self._topics}
        observations = []
        for partition in partitions:
            name, number = partition.topic, partition.partition
            committed = self._consumer.committed(partition, timeout_ms=5000) or 0
            end = max(ends[partition], self._fetched_end(name, number) or 0)
            done = max(committed, self._progress.next_done(name, number) or 0)
            received = max(committed, self._progress.next_received(name, number) or 0)
            lag[name] += max(0, end - done)
            if (name, number) in owned:
                working = self._progress.waiting(name, number)
                observations.append(Observation(name, number, end, received, working))
        return Measured(lag, observations)
