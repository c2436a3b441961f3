"""How far consumer groups are behind, by topic: what `millstream status` shows."""

from collections.abc import Sequence

from kafka.errors import KafkaError

from contracts.errors import LogUnavailable
from contracts.topics import Topic
from eventlog.ends import partitions_of, true_ends
from eventlog.tail import connect


def group_lag(bootstrap: str, group: str, topics: Sequence[Topic]) -> dict[str, int]:
    """Messages not yet committed by the group, by topic name; a topic never committed counts from its beginning.

    Raises:
        LogUnavailable: the broker does not answer.
    """
    try:
        consumer = connect(bootstrap, group=group)
        try:
            partitions = partitions_of(consumer, topics)
            committed = {partition: consumer.committed(partition, timeout_ms=5000) for partition in partitions}
        finally:
            consumer.close(autocommit=False, timeout_ms=1000)
        ends = _ends(bootstrap, topics)
    except KafkaError as error:
        raise LogUnavailable(
            f"found {type(error).__name__} ({error}) from {bootstrap}; expected the offsets of group {group!r}"
        ) from error
    behind = {topic.name: 0 for topic in topics}
    for partition in partitions:
        behind[partition.topic] += max(0, ends[partition.topic, partition.partition] - (committed[partition] or 0))
    return behind


def committed_offsets(bootstrap: str, group: str, topic: Topic) -> dict[int, int]:
    """The offset of the group's next message, by partition; 0 where it has committed none.

    Raises:
        LogUnavailable: the broker does not answer.
    """
    try:
        consumer = connect(bootstrap, group=group)
        try:
            partitions = partitions_of(consumer, [topic])
            return {each.partition: consumer.committed(each, timeout_ms=5000) or 0 for each in partitions}
        finally:
            consumer.close(autocommit=False, timeout_ms=1000)
    except KafkaError as error:
        raise LogUnavailable(
            f"found {type(error).__name__} ({error}) from {bootstrap}; expected the offsets of group {group!r}"
        ) from error


def message_counts(bootstrap: str, topics: Sequence[Topic]) -> dict[str, int]:
    """The sum of each topic's end offsets: how many messages it was given.

    Raises:
        LogUnavailable: the broker does not answer.
    """
    try:
        ends = _ends(bootstrap, topics)
    except KafkaError as error:
        raise LogUnavailable(
            f"found {type(error).__name__} ({error}) from {bootstrap}; expected end offsets"
        ) from error
    counts = {topic.name: 0 for topic in topics}
    for (name, _), end in ends.items():
        counts[name] += end
    return counts


def _ends(bootstrap: str, topics: Sequence[Topic]) -> dict[tuple[str, int], int]:
    consumer = connect(bootstrap, fetch_wait_ms=50)
    try:
        ends = true_ends(consumer, partitions_of(consumer, topics))
    finally:
        consumer.close(autocommit=False, timeout_ms=1000)
    return {(partition.topic, partition.partition): end for partition, end in ends.items()}
