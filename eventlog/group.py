"""Reading topics as a member of a consumer group, committing by hand: at-least-once for the learner.

A message counts as consumed only once `commit` returns; what was not committed comes again after a crash or a
rebalance.
"""

import logging
from collections.abc import Sequence

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError

from contracts.errors import LogUnavailable
from contracts.ports import LoggedMessage
from contracts.topics import Topic
from eventlog.progress import Progress, Unassigned, longer_wait_ms
from eventlog.stamped import logged_ms
from eventlog.tail import connect

log = logging.getLogger(__name__)


class GroupReader:
    """One member of a group; for one thread. Connects at the first `poll`.

    Args:
        bootstrap: Bootstrap servers, `host:port`, several separated by commas.
        group: The group's name: members share the partitions, progress is kept under it.
        topics: The topics to read.
        session_timeout_s: A member silent for this long is left out; on Tansu a join takes half of it.
        fetch_wait_ms: How long the broker holds a fetch open.
        max_messages: The most that one `poll` returns.
    """

    def __init__(
        self,
        bootstrap: str,
        group: str,
        topics: Sequence[Topic],
        *,
        session_timeout_s: float = 6.0,
        fetch_wait_ms: int = 50,
        max_messages: int = 500,
    ):
        self._bootstrap = bootstrap
        self._group = group
        self._topics = tuple(topics)
        self._session_timeout_s = session_timeout_s
        self._fetch_wait_ms = fetch_wait_ms
        self._max_messages = max_messages
        self._consumer: KafkaConsumer | None = None
        self._polled: dict[TopicPartition, int] = {}
        self._progress = Progress()
        self._unassigned = Unassigned()

    def poll(self, timeout_s: float) -> list[LoggedMessage]:
        """The next messages, maybe none (as during an outage or a rebalance).

        Raises:
            LogUnavailable: the broker cannot be reached; the next call retries.
        """
        try:
            consumer = self._joined()
            batches = consumer.poll(timeout_ms=round(timeout_s * 1000), max_records=self._max_messages)
            if self._progress.stalled(consumer, polled=bool(batches)):
                self._fetch_wait_ms = longer_wait_ms(self._fetch_wait_ms)
                log.warning("%s stalled; joining anew with fetches of %d ms", self._group, self._fetch_wait_ms)
                self.close()
            elif self._unassigned.overdue(consumer):
                names = ", ".join(topic.name for topic in self._topics)
                log.warning("%s was given no partition of %s; joining anew", self._group, names)
                self.close()
        except KafkaError as error:
            raise self._unavailable(error) from error
        for partition, records in batches.items():
            self._polled[partition] = records[-1].offset + 1
        return [
            LoggedMessage(record.topic, record.partition, record.offset, record.key, record.value, logged_ms(record))
            for records in batches.values()
            for record in records
        ]

    def commit(self) -> None:
        """Keeps the group's progress up to what was polled; nothing polled, nothing done.

        Raises:
            LogUnavailable: the progress was not kept; the messages come again to this or another member.
        """
        if not self._polled or self._consumer is None:
            return
        mine = self._consumer.assignment()
        offsets = {
            partition: OffsetAndMetadata(offset, "", -1)
            for partition, offset in self._polled.items()
            if partition in mine
        }
        self._polled.clear()
        if not offsets:
            return
        try:
            self._consumer.commit(offsets, timeout_ms=5000)
        except KafkaError as error:
            raise self._unavailable(error) from error

    def lag(self) -> dict[str, int]:
        """Messages not yet polled by this member, by topic, as of the last fetch."""
        behind = {topic.name: 0 for topic in self._topics}
        if self._consumer is not None:
            for partition in self._consumer.assignment():
                watermark = self._consumer.highwater(partition)
                if watermark is not None:
                    behind[partition.topic] += max(0, watermark - self._consumer.position(partition, timeout_ms=1000))
        return behind

    def close(self) -> None:
        """Leaves the group without committing."""
        consumer, self._consumer = self._consumer, None
        self._polled.clear()
        if consumer is not None:
            consumer.close(autocommit=False, timeout_ms=2000)

    def _joined(self) -> KafkaConsumer:
        if self._consumer is None:
            consumer = connect(
                self._bootstrap,
                group=self._group,
                fetch_wait_ms=self._fetch_wait_ms,
                session_timeout_ms=round(self._session_timeout_s * 1000),
                heartbeat_interval_ms=round(self._session_timeout_s * 1000 / 4),
            )
            consumer.subscribe([topic.name for topic in self._topics])
            self._consumer = consumer
        return self._consumer

    def _unavailable(self, error: BaseException) -> LogUnavailable:
        return LogUnavailable(
            f"found {type(error).__name__} ({error}) in group {self._group!r} at {self._bootstrap}; expected its "
            "membership and progress kept; check that the broker runs and retry"
        )
