"""Where partitions truly end: the high watermark of a fetch.

Tansu answers `end_offsets` with the base offset of the last batch plus one, so 100 records in one batch look like one.
The watermark in a fetch response is right on Tansu and on Apache Kafka alike.
"""

import time
from collections.abc import Iterable, Sequence

from kafka import KafkaConsumer, TopicPartition

from contracts.errors import LogUnavailable
from contracts.topics import Topic

FETCH_TIMEOUT_S = 10.0
TOPIC_TIMEOUT_S = 5.0
"""A topic that was just created may take this long to show in the metadata."""


def partitions_of(consumer: KafkaConsumer, topics: Sequence[Topic]) -> list[TopicPartition]:
    """All partitions of the topics, as the broker has them.

    Raises:
        LogUnavailable: a topic is not there within `TOPIC_TIMEOUT_S`.
    """
    deadline = time.monotonic() + TOPIC_TIMEOUT_S
    found: list[TopicPartition] = []
    for topic in topics:
        while not (numbers := consumer.partitions_for_topic(topic.name)):
            if time.monotonic() > deadline:
                raise LogUnavailable(f"found no topic {topic.name!r}; expected it created: run create_topics first")
            time.sleep(0.05)
        found.extend(TopicPartition(topic.name, number) for number in sorted(numbers))
    return found


def true_ends(
    consumer: KafkaConsumer, partitions: Iterable[TopicPartition], timeout_s: float = FETCH_TIMEOUT_S
) -> dict[TopicPartition, int]:
    """The offset after the last message of each partition; 0 where it holds none.

    Moves the consumer: it must be without a group, and its caller assigns and seeks afterwards.

    Raises:
        LogUnavailable: the broker did not answer within `timeout_s`.
    """
    wanted = list(partitions)
    ends = dict(consumer.end_offsets(wanted, timeout_ms=round(timeout_s * 1000)))
    begins = consumer.beginning_offsets(wanted, timeout_ms=round(timeout_s * 1000))
    unsure = [partition for partition in wanted if ends[partition] > begins[partition]]
    if not unsure:
        return ends
    consumer.assign(unsure)
    for partition in unsure:
        consumer.seek(partition, ends[partition] - 1)
    deadline = time.monotonic() + timeout_s
    while unsure:
        consumer.poll(timeout_ms=50)
        for partition in list(unsure):
            watermark = consumer.highwater(partition)
            if watermark is not None:
                ends[partition] = max(watermark, ends[partition])
                unsure.remove(partition)
                consumer.pause(partition)
        if unsure and time.monotonic() > deadline:
            raise LogUnavailable(
                f"found no fetch answer for {unsure} within {timeout_s} s; expected a high watermark; check the broker"
            )
    return ends
