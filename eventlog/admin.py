"""Creating the topics of the wiring map, before anything runs: nothing relies on automatic creation.

Apache Kafka gets compaction, retention and replication; Tansu has none of them and is told nothing.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from kafka import KafkaAdminClient
from kafka.errors import KafkaError, TopicAlreadyExistsError

from contracts.errors import LogUnavailable
from contracts.topics import Topic
from eventlog.thread_safe import make_thread_safe

REPLICATION = 3
CALL_TIMEOUT_S = 30.0


def wait_for_broker(bootstrap: str, timeout_s: float) -> None:
    """Returns once a broker answers at `bootstrap`.

    Raises:
        LogUnavailable: none did within `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        left = deadline - time.monotonic()
        try:
            _admin(bootstrap, max(0.2, min(left, 2.0))).close()
        except KafkaError as error:
            if time.monotonic() >= deadline:
                raise LogUnavailable(
                    f"found no broker at {bootstrap} within {timeout_s} s ({error}); expected one; start it or check "
                    "the bootstrap setting"
                ) from error
            time.sleep(0.1)
        else:
            return


def create_topics(bootstrap: str, topics: Sequence[Topic], embedded: bool) -> tuple[str, ...]:
    """Creates those topics that are not there yet; one that is there is left as it is.

    Args:
        bootstrap: Bootstrap servers.
        topics: Rows of the wiring map.
        embedded: Whether the broker is Tansu, which takes one replica and no configuration.

    Returns:
        The names of the topics created by this call.

    Raises:
        LogUnavailable: the broker does not answer or refuses.
    """
    with _asking(bootstrap, f"to create {[topic.name for topic in topics]}") as admin:
        return _create(admin, topics, embedded)


def _create(admin: KafkaAdminClient, topics: Sequence[Topic], embedded: bool) -> tuple[str, ...]:
    there = set(admin.list_topics())
    replicas = _replicas(admin, embedded)
    created = []
    for topic in topics:
        if topic.name in there:
            continue
        configs = {} if embedded else topic_configs(topic, replicas)
        wanted = {
            topic.name: {"num_partitions": topic.partitions, "replication_factor": replicas, "configs": configs},
        }
        try:
            admin.create_topics(wanted, timeout_ms=round(CALL_TIMEOUT_S * 1000))
        except TopicAlreadyExistsError:
            continue
        created.append(topic.name)
    if created:
        admin.wait_for_topics(created)
    return tuple(created)


def replicas(bootstrap: str, embedded: bool) -> int:
    """How many replicas a topic gets: three, or one a broker where there are fewer. Raises LogUnavailable."""
    with _asking(bootstrap, "the list of brokers") as admin:
        return _replicas(admin, embedded)


def _replicas(admin: KafkaAdminClient, embedded: bool) -> int:
    return 1 if embedded else min(REPLICATION, len(admin.describe_cluster()["brokers"]))


def topic_configs(topic: Topic, replicas: int) -> dict[str, str]:
    """The topic's configuration on Apache Kafka."""
    configs = {
        "min.insync.replicas": "2" if replicas >= REPLICATION else "1",
        # One clock says what is of the future, whichever worker reads it, and whenever.
        "message.timestamp.type": "LogAppendTime",
    }
    if topic.retention is None:
        configs |= {
            "cleanup.policy": "compact",
            "min.cleanable.dirty.ratio": "0.2",
            "segment.ms": "86400000",
            # An older state behind a newer one (streams/tables.py) is found and mended before it could be the only one.
            "min.compaction.lag.ms": "3600000",
            # The state of a shopper with many long ids outgrows the broker's own limit of a megabyte.
            "max.message.bytes": "8388608",
        }
    else:
        configs |= {
            "cleanup.policy": "delete",
            "retention.ms": str(round(topic.retention.total_seconds() * 1000)),
        }
    return configs


@contextmanager
def _asking(bootstrap: str, expected: str) -> Iterator[KafkaAdminClient]:
    """An admin client for the block; its failures become LogUnavailable, with what was expected of the broker."""
    try:
        admin = _admin(bootstrap, CALL_TIMEOUT_S)
        try:
            yield admin
        finally:
            admin.close()
    except KafkaError as error:
        raise LogUnavailable(
            f"found {type(error).__name__} ({error}) from {bootstrap}; expected {expected}; check the broker and its "
            "permissions"
        ) from error


def _admin(bootstrap: str, timeout_s: float) -> KafkaAdminClient:
    make_thread_safe()
    return KafkaAdminClient(
        bootstrap_servers=bootstrap.split(","),
        client_id="millstream-admin",
        bootstrap_timeout_ms=round(timeout_s * 1000),
        request_timeout_ms=round(CALL_TIMEOUT_S * 1000),
    )
