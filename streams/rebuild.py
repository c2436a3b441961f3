"""Making the streams' states anew from the log: after a change of their format, or when they are not believed.

The streams of all machines are stopped. 1. The group's progress is read; 2. the changelogs are deleted and made again;
3. their first message names the new one, and the offset up to which the examples are on the log already; 4. the group
begins at the log's beginning. The next start of the streams folds what the log still holds.

A crash between two steps leaves nothing half read: the streams do not start before the command was run again.
"""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from kafka import KafkaAdminClient, OffsetAndMetadata, TopicPartition
from kafka.errors import GroupIdNotFoundError, KafkaError, UnknownTopicOrPartitionError

from contracts.errors import LogUnavailable, StackError
from contracts.settings import Settings
from contracts.topics import EVENTS, ITEM_TOUCHES
from eventlog.ends import partitions_of, true_ends
from eventlog.lag import committed_offsets
from eventlog.tail import connect
from streams.changelog_names import muted_until, name
from streams.changelogs import USERS, changelog_topic, changelog_topics, create_changelogs

DELETED_WITHIN_S = 30.0


@dataclass(frozen=True)
class Plan:
    """What a rebuild does: events to fold again, by partition from the beginning to where the group was."""

    events: int
    muted_until: dict[int, int]


def plan(settings: Settings) -> Plan:
    """Step 1.

    Raises:
        StackError: streams still run.
        LogUnavailable: the broker does not answer.
    """
    try:
        admin = _admin(settings)
        try:
            _require_stopped(admin, settings.app_id)
        finally:
            admin.close()
        committed = committed_offsets(settings.bootstrap, settings.app_id, EVENTS)
        consumer = connect(settings.bootstrap)
        try:
            partitions = partitions_of(consumer, [EVENTS])
            begins = consumer.beginning_offsets(partitions, timeout_ms=5000)
        finally:
            consumer.close(autocommit=False, timeout_ms=1000)
        before = _muted_before(settings)
    except KafkaError as error:
        raise _away(settings, error) from error
    # After a rebuild that was broken off the group is back at the beginning: what was muted stays muted.
    muted = {number: max(offset, before.get(number, 0)) for number, offset in committed.items()}
    return Plan(sum(muted[where.partition] - begins[where] for where in partitions), muted)


def rebuild(settings: Settings, planned: Plan, progress: Callable[[str], None] = lambda _: None) -> None:
    """Steps 2 to 4.

    Args:
        settings: Addresses and the application's id.
        planned: Of `plan`, a moment ago.
        progress: Called with what is being done.

    Raises:
        StackError: streams run again.
        LogUnavailable: the broker does not answer, or keeps a topic that it was to delete.
    """
    try:
        admin = _admin(settings)
        try:
            _require_stopped(admin, settings.app_id)
            progress("deleting the changelogs")
            _delete(admin, [topic.name for topic in changelog_topics(settings.app_id)])  # 2
        finally:
            admin.close()
        create_changelogs(settings)
        progress("naming the new ones")
        _name(settings, planned)  # 3
        progress("setting the group back")
        _set_back(settings)  # 4
    except KafkaError as error:
        raise _away(settings, error) from error


def _require_stopped(admin: KafkaAdminClient, group: str) -> None:
    try:
        described = admin.describe_groups([group])
    except GroupIdNotFoundError:
        return
    members = described[group].get("members") or []
    if members:
        raise StackError(
            f"found {len(members)} stream workers in the group {group!r}; expected none; stop the streams on every "
            "machine (locally: millstream down) and run the command again"
        )


def _delete(admin: KafkaAdminClient, names: list[str]) -> None:
    there = [name for name in names if name in set(admin.list_topics())]
    if there:
        with contextlib.suppress(UnknownTopicOrPartitionError):
            admin.delete_topics(there, timeout_ms=round(DELETED_WITHIN_S * 1000))
    deadline_s = time.monotonic() + DELETED_WITHIN_S
    while set(admin.list_topics()) & set(names):
        if time.monotonic() > deadline_s:
            raise LogUnavailable(
                f"found {sorted(set(admin.list_topics()) & set(names))} after {DELETED_WITHIN_S} s; expected them "
                "deleted; check that the broker allows it (delete.topic.enable) and run the command again"
            )
        time.sleep(0.2)


def _name(settings: Settings, planned: Plan) -> None:
    users = changelog_topic(settings.app_id, USERS)
    partitions = [
        TopicPartition(topic.name, number)
        for topic in changelog_topics(settings.app_id)
        for number in range(topic.partitions)
    ]
    name(
        settings, {where: planned.muted_until.get(where.partition, 0) * (where.topic == users) for where in partitions}
    )


def _set_back(settings: Settings) -> None:
    """The events from their beginning; the touches from their end, since folding the events publishes them again."""
    consumer = connect(settings.bootstrap)
    try:
        ends = true_ends(consumer, partitions_of(consumer, [ITEM_TOUCHES]))
        begins = consumer.beginning_offsets(partitions_of(consumer, [EVENTS]), timeout_ms=5000)
    finally:
        consumer.close(autocommit=False, timeout_ms=1000)
    group = connect(settings.bootstrap, group=settings.app_id)
    try:
        group.assign([*ends, *begins])
        group.commit({where: OffsetAndMetadata(offset, "", -1) for where, offset in (ends | begins).items()})
    finally:
        group.close(autocommit=False, timeout_ms=1000)


def _muted_before(settings: Settings) -> dict[int, int]:
    """What an earlier rebuild has muted, by partition; empty where there was none."""
    topic = changelog_topic(settings.app_id, USERS)
    consumer = connect(settings.bootstrap)
    try:
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        ends = true_ends(consumer, partitions)
        return {where.partition: muted_until(consumer, where) for where, end in ends.items() if end}
    finally:
        consumer.close(autocommit=False, timeout_ms=1000)


def _admin(settings: Settings) -> KafkaAdminClient:
    return KafkaAdminClient(bootstrap_servers=settings.bootstrap.split(","), client_id="millstream-rebuild")


def _away(settings: Settings, error: KafkaError) -> LogUnavailable:
    return LogUnavailable(
        f"found {type(error).__name__} ({error}) from {settings.bootstrap}; expected the group and its topics; check "
        "the broker and run the command again"
    )
