"""Changelogs are named before anything is folded; a lost one and a rebuild broken off stop a worker."""

import secrets
from pathlib import Path

import pytest
from kafka import OffsetAndMetadata, TopicPartition

from contracts.errors import StatesLost
from contracts.ids import UserId
from contracts.settings import Settings
from contracts.topics import EVENTS
from eventlog.ends import partitions_of, true_ends
from eventlog.producer import KafkaLog
from eventlog.tail import connect
from streams import rebuild
from streams.changelog import REBUILT, KafkaChangelog
from streams.changelog_names import check_names, require_partitions
from streams.changelogs import USERS, changelog_topic, changelog_topics, create_changelogs


@pytest.fixture(params=["tansu", pytest.param("real_kafka", marks=pytest.mark.real_kafka)])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    bootstrap = request.getfixturevalue(request.param)
    found = Settings(state_dir=tmp_path, kafka_bootstrap=bootstrap, app_id=f"t{secrets.token_hex(6)}")
    create_changelogs(found)
    return found


def ends(settings: Settings) -> set[int]:
    consumer = connect(settings.bootstrap)
    try:
        return set(true_ends(consumer, partitions_of(consumer, changelog_topics(settings.app_id))).values())
    finally:
        consumer.close(autocommit=False)


def commit(settings: Settings, offset: int) -> None:
    where = [TopicPartition(EVENTS.name, number) for number in range(EVENTS.partitions)]
    group = connect(settings.bootstrap, group=settings.app_id)
    try:
        group.assign(where)
        group.commit({each: OffsetAndMetadata(offset, "", -1) for each in where})
    finally:
        group.close(autocommit=False)


async def test_a_new_changelog_is_named_once_and_each_partition_has_a_name_of_its_own(settings: Settings) -> None:
    check_names(settings)
    assert ends(settings) == {1}
    check_names(settings)
    assert ends(settings) == {1}
    changelog = KafkaChangelog(settings.bootstrap, changelog_topic(settings.app_id, USERS))
    names = {await changelog.origin(number) for number in range(EVENTS.partitions)}
    assert len(names - {b""}) == EVENTS.partitions


def test_a_changelog_that_is_empty_although_events_were_folded_stops_the_worker(settings: Settings) -> None:
    commit(settings, 3)
    with pytest.raises(StatesLost, match=r"4 changelogs empty .*`millstream rebuild`"):
        check_names(settings)
    assert ends(settings) == {0}


@pytest.mark.real_kafka
def test_a_rebuild_broken_off_before_the_group_was_set_back_stops_the_worker_until_it_is_run_again(
    real_kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(state_dir=tmp_path, kafka_bootstrap=real_kafka, app_id=f"t{secrets.token_hex(6)}")
    create_changelogs(settings)
    check_names(settings)
    log = KafkaLog(real_kafka, "test", 5)
    for number in range(40):
        log.publish(EVENTS, UserId(f"user-{number}"), b"{}").result(10)
    log.close()
    commit(settings, 2)
    planned = rebuild.plan(settings)
    with monkeypatch.context() as broken:
        broken.setattr(rebuild, "_set_back", lambda _: None)
        rebuild.rebuild(settings, planned)
    with pytest.raises(StatesLost, match=r"broken off .*`millstream rebuild`"):
        check_names(settings)
    rebuild.rebuild(settings, rebuild.plan(settings))
    check_names(settings)
    assert rebuild.plan(settings).muted_until == planned.muted_until


def test_a_topic_with_other_partitions_than_the_states_stops_the_worker() -> None:
    require_partitions(EVENTS, EVENTS.partitions)
    with pytest.raises(StatesLost, match=r"'events' with 6 partitions; expected 4"):
        require_partitions(EVENTS, 6)


def test_no_id_is_the_key_of_a_changelogs_name() -> None:
    with pytest.raises(UnicodeDecodeError):
        REBUILT.decode()
