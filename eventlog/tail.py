"""Following whole topics without a consumer group: the port `Tail` on kafka-python.

During an outage of the broker `poll` returns nothing and the client reconnects by itself; it raises LogUnavailable only
when the tail cannot be opened. A log that was replaced by a shorter one (Tansu keeps its messages in memory) is read
again from its beginning.
"""

import logging
import time
from collections.abc import Collection, Sequence
from typing import Literal

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from kafka.net.compat import KafkaNetClient

from contracts.errors import LogUnavailable
from contracts.ports import LoggedMessage
from contracts.topics import Topic
from eventlog.ends import partitions_of, true_ends
from eventlog.paced_lookups import pace_lookups
from eventlog.progress import Progress, longer_wait_ms
from eventlog.stamped import logged_ms
from eventlog.thread_safe import make_thread_safe

log = logging.getLogger(__name__)

LOOK_BACK = 2_000
"""Messages a partition that are read of a topic whose past does not matter."""


class KafkaTail:
    """Implements `contracts.ports.Tail`; for one thread. Connects at the first `poll` or `caught_up`.

    Args:
        bootstrap: Bootstrap servers, `host:port`, several separated by commas.
        topics: The topics to follow, all partitions of each.
        start: From the first message kept, or only what comes after the tail is opened.
        newest_of: Those of the topics whose past does not matter: they are read from shortly before their end, and
            `caught_up` does not wait for them.
        look_back: How many messages before the end of each partition of those.
        fetch_wait_ms: How long the broker holds a fetch open; Tansu sleeps it out, so it bounds freshness there.
    """

    def __init__(
        self,
        bootstrap: str,
        topics: Sequence[Topic],
        start: Literal["beginning", "end"] = "beginning",
        *,
        newest_of: Collection[Topic] = (),
        look_back: int = LOOK_BACK,
        fetch_wait_ms: int = 50,
    ):
        self._bootstrap = bootstrap
        self._topics = tuple(topics)
        self._start = start
        self._newest_of = frozenset(topic.name for topic in newest_of)
        self._look_back = look_back
        self._fetch_wait_ms = fetch_wait_ms
        self._consumer: KafkaConsumer | None = None
        self._targets: dict[TopicPartition, int] = {}
        self._progress = Progress()

    def poll(self, timeout_s: float) -> list[LoggedMessage]:
        """The next messages in order per partition, maybe none (as during an outage).

        Raises:
            LogUnavailable: the broker or a topic was not there when the tail was to be opened; the next call retries.
        """
        consumer = self._opened()
        try:
            batches = consumer.poll(timeout_ms=round(timeout_s * 1000), max_records=5000)
            self._follow_replaced(consumer)
            if self._progress.stalled(consumer, polled=bool(batches)):
                self._start_anew(consumer)
        except KafkaError as error:
            raise self._unavailable(error) from error
        return [
            LoggedMessage(record.topic, record.partition, record.offset, record.key, record.value, logged_ms(record))
            for records in batches.values()
            for record in records
        ]

    def caught_up(self) -> bool:
        """Whether everything that was in the topics when the tail was opened has been polled. Raises as `poll`."""
        consumer = self._opened()
        for partition, target in list(self._targets.items()):
            if consumer.position(partition, timeout_ms=1000) >= target:
                del self._targets[partition]
        return not self._targets

    def close(self) -> None:
        """Releases the connection; a later `poll` opens the tail anew."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close(autocommit=False, timeout_ms=1000)

    def _opened(self) -> KafkaConsumer:
        if self._consumer is not None:
            return self._consumer
        consumer = None
        try:
            consumer = connect(self._bootstrap, fetch_wait_ms=self._fetch_wait_ms)
            partitions = partitions_of(consumer, self._topics)
            ends = true_ends(consumer, partitions)
            consumer.assign(partitions)
            whole = [partition for partition in partitions if self._reads_whole(partition)]
            if whole:
                consumer.seek_to_beginning(*whole)
            self._targets = {partition: ends[partition] for partition in whole if ends[partition] > 0}
            for partition, place in self._places_near_the_end(consumer, ends).items():
                consumer.seek(partition, place)
            consumer.resume(*partitions)
        except (KafkaError, LogUnavailable) as error:
            if consumer is not None:
                consumer.close(autocommit=False, timeout_ms=1000)
            raise (error if isinstance(error, LogUnavailable) else self._unavailable(error)) from error
        self._consumer = consumer
        return consumer

    def _reads_whole(self, partition: TopicPartition) -> bool:
        return self._start == "beginning" and partition.topic not in self._newest_of

    def _places_near_the_end(
        self, consumer: KafkaConsumer, ends: dict[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """Where to start in the partitions that are not read whole."""
        near = [partition for partition in ends if not self._reads_whole(partition)]
        if self._start == "end" or not near:
            return {partition: ends[partition] for partition in near}
        begins = consumer.beginning_offsets(near, timeout_ms=5000)
        return {partition: max(begins[partition], ends[partition] - self._look_back) for partition in near}

    def _follow_replaced(self, consumer: KafkaConsumer) -> None:
        for partition in consumer.assignment():
            watermark = consumer.highwater(partition)
            if watermark is not None and consumer.position(partition, timeout_ms=1000) > watermark:
                log.warning("the log of %s was replaced; reading it from its beginning", partition)
                consumer.seek_to_beginning(partition)
                if partition in self._targets:
                    self._targets[partition] = watermark

    def _start_anew(self, consumer: KafkaConsumer) -> None:
        """Goes on at the same places with a longer fetch wait (see `eventlog.progress`)."""
        places = {partition: consumer.position(partition, timeout_ms=1000) for partition in consumer.assignment()}
        self._fetch_wait_ms = longer_wait_ms(self._fetch_wait_ms)
        log.warning("polls brought nothing though messages wait; going on with fetches of %d ms", self._fetch_wait_ms)
        self.close()
        self._consumer = connect(self._bootstrap, fetch_wait_ms=self._fetch_wait_ms)
        self._consumer.assign(list(places))
        for partition, place in places.items():
            self._consumer.seek(partition, place)

    def _unavailable(self, error: BaseException) -> LogUnavailable:
        return LogUnavailable(
            f"found {type(error).__name__} ({error}) from the broker at {self._bootstrap}; expected the topics "
            f"{[topic.name for topic in self._topics]}; check that the broker runs and retry"
        )


def connect(bootstrap: str, group: str | None = None, fetch_wait_ms: int = 100, **extra: object) -> KafkaConsumer:
    """A kafka-python consumer with this project's settings.

    Raises:
        KafkaError: no broker answers within five seconds.
    """
    make_thread_safe()
    clients: list[KafkaNetClient] = []

    def client(**configs: object) -> KafkaNetClient:
        clients.append(KafkaNetClient(**configs))
        return clients[-1]

    try:
        consumer = _consumer(bootstrap, group, fetch_wait_ms, kafka_client=client, **extra)
    except KafkaError:
        # The constructor leaves its network thread behind when it finds no broker.
        for left in clients:
            left.close()
        raise
    if group is not None:
        pace_lookups(consumer)
    return consumer


def _consumer(bootstrap: str, group: str | None, fetch_wait_ms: int, **extra: object) -> KafkaConsumer:
    return KafkaConsumer(
        bootstrap_servers=bootstrap.split(","),
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        allow_auto_create_topics=False,
        fetch_max_wait_ms=fetch_wait_ms,
        request_timeout_ms=10_000,
        reconnect_backoff_max_ms=1000,
        bootstrap_timeout_ms=5000,
        metrics_enabled=False,
        **extra,
    )


def read_whole(bootstrap: str, topic: Topic, timeout_s: float) -> list[LoggedMessage]:
    """All messages that the topic holds, in order per partition. Raises as `wait_until_caught_up`."""
    tail = KafkaTail(bootstrap, [topic])
    try:
        return wait_until_caught_up(tail, timeout_s)
    finally:
        tail.close()


def wait_until_caught_up(tail: KafkaTail, timeout_s: float) -> list[LoggedMessage]:
    """All messages up to where the topics ended when the tail was opened.

    Raises:
        LogUnavailable: they did not come within `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    messages: list[LoggedMessage] = []
    while not tail.caught_up():
        if time.monotonic() > deadline:
            raise LogUnavailable(f"found the tail behind after {timeout_s} s; expected it caught up; check the broker")
        messages += tail.poll(0.1)
    return messages
