"""Each changelog's first message names it: a copy then knows whose it is, and one that was lost is noticed.

At every start of a worker: 1. the group's progress is read; 2. a changelog without a message is named where nothing was
folded yet, and is a lost one where something was; 3. one that a rebuild named, but whose group was not set back, tells
of a rebuild that was broken off. What is lost or half made stops the worker: it would go on with empty states.
"""

import secrets

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from contracts.errors import LogUnavailable, StatesLost
from contracts.settings import Settings
from contracts.topics import EVENTS, ITEM_TOUCHES, Topic
from eventlog.ends import partitions_of, true_ends
from eventlog.lag import committed_offsets
from eventlog.tail import connect
from streams.changelog import REBUILT, headers_of, record_of
from streams.changelogs import ITEM_STATES, USERS, changelog_topic, changelog_topics
from streams.state_db import Record

TIMEOUT_MS = 5000
NAME_TIMEOUT_S = 30.0


def check_names(settings: Settings) -> None:
    """Steps 1 to 3; the changelogs are there.

    Raises:
        StatesLost: a changelog lacks what the group has folded, or a topic has other partitions; says what to do.
        LogUnavailable: the broker does not answer.
    """
    try:
        # 1, before the ends: a worker that starts beside this one names before it folds
        committed = _committed(settings)
        consumer = connect(settings.bootstrap)
        try:
            ends = true_ends(consumer, partitions_of(consumer, changelog_topics(settings.app_id)))
            empty = [where for where, end in ends.items() if end == 0]
            lost = [where for where in empty if committed[_source(settings, where)] > 0]
            half = [
                where for where, end in ends.items() if end == 1 and _broken_off(settings, consumer, where, committed)
            ]
        finally:
            consumer.close(autocommit=False, timeout_ms=1000)
        if lost or half:
            what = f"{len(lost)} changelogs empty that were written" if lost else "a rebuild that was broken off"
            names = ", ".join(f"{where.topic}-{where.partition}" for where in [*lost, *half])
            raise StatesLost(
                f"found {what} ({names}); expected the states of what the group {settings.app_id!r} has read; run "
                "`millstream rebuild`, which makes them anew from the log: until then every user would begin anew"
            )
        name(settings, dict.fromkeys(empty, 0))  # 2
    except KafkaError as error:
        raise LogUnavailable(
            f"found {type(error).__name__} ({error}) from {settings.bootstrap}; expected the changelogs' ends and the "
            "group's progress; check the broker"
        ) from error


def name(settings: Settings, muted: dict[TopicPartition, int]) -> None:
    """Writes the naming message to each of the partitions, with the offset below which examples are muted.

    Raises KafkaError.
    """
    if not muted:
        return
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap.split(","), acks="all")
    try:
        sent = []
        for where, until in muted.items():
            # A name of its own for each partition: the copy of one is not taken for another's.
            record = Record(REBUILT, secrets.token_bytes(8), until)
            headers = headers_of(record)
            sent.append(producer.send(where.topic, record.value, REBUILT, partition=where.partition, headers=headers))
        for future in sent:
            future.get(timeout=NAME_TIMEOUT_S)
    finally:
        producer.close(timeout=10)


def muted_until(consumer: KafkaConsumer, where: TopicPartition) -> int:
    """The offset below which the changelog's naming message mutes examples; 0 without one. Moves the consumer."""
    consumer.assign([where])
    consumer.seek_to_beginning(where)
    consumer.resume(where)  # the search for the ends leaves it paused
    records = consumer.poll(timeout_ms=TIMEOUT_MS, max_records=1).get(where, [])
    return record_of(records[0]).mark if records and records[0].key == REBUILT else 0


def _committed(settings: Settings) -> dict[TopicPartition, int]:
    found: dict[TopicPartition, int] = {}
    for topic in (EVENTS, ITEM_TOUCHES):
        offsets = committed_offsets(settings.bootstrap, settings.app_id, topic)
        require_partitions(topic, len(offsets))
        found |= {TopicPartition(topic.name, number): offset for number, offset in offsets.items()}
    return found


def require_partitions(topic: Topic, found: int) -> None:
    """Raises StatesLost where the topic has other partitions than the wiring map."""
    if found != topic.partitions:
        raise StatesLost(
            f"found topic {topic.name!r} with {found} partitions; expected {topic.partitions}: a key's messages would "
            "go to another partition than its state; make the topic anew with as many, and run `millstream rebuild`"
        )


def _source(settings: Settings, changelog: TopicPartition) -> TopicPartition:
    topics = {
        changelog_topic(settings.app_id, USERS): EVENTS,
        changelog_topic(settings.app_id, ITEM_STATES): ITEM_TOUCHES,
    }
    return TopicPartition(topics[changelog.topic].name, changelog.partition)


def _broken_off(
    settings: Settings, consumer: KafkaConsumer, where: TopicPartition, committed: dict[TopicPartition, int]
) -> bool:
    """Whether the changelog's only message mutes examples up to where the group still is."""
    muted, source = muted_until(consumer, where), _source(settings, where)
    begin = consumer.beginning_offsets([source], timeout_ms=TIMEOUT_MS)[source]
    return 0 < muted <= committed[source] and committed[source] > begin
