"""The feature stores, and what Feast on SQLite does beyond the port."""

import secrets
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from contracts.errors import FeaturesUnavailable
from contracts.features import UserFeatures
from contracts.ids import UserId
from contracts.ports import FeatureStore
from contracts.settings import Settings
from feature_repo import newest_rows
from feature_repo.memory import MemoryFeatureStore
from feature_repo.online import FeastStore, to_us
from feature_repo.store_config import REDIS_LIMITS, apply, redis_connection
from tests.builders import servers
from tests.suites.feature_store import FULL_USER, NOON, USER, FeatureStoreSuite


class TestMemory(FeatureStoreSuite):
    @pytest.fixture
    def store(self) -> FeatureStore:
        return MemoryFeatureStore()


class OfTwoProcesses(FeatureStoreSuite):
    """What holds when a partition has moved: each worker's store is a `FeastStore` of its own."""

    @pytest.fixture
    def store(self, shared: Settings) -> FeatureStore:
        return FeastStore(shared)

    def test_a_worker_that_lost_the_partition_never_overwrites_the_row_of_the_one_that_has_it(
        self, shared: Settings
    ) -> None:
        lost, owner = FeastStore(shared), FeastStore(shared)
        lost.write_users({USER: (NOON, UserFeatures(event_count=1))})
        owner.write_users({USER: (NOON + timedelta(seconds=6), UserFeatures(event_count=6))})
        lost.write_users({USER: (NOON + timedelta(seconds=3), UserFeatures(event_count=3))})
        assert owner.read_user(USER) == UserFeatures(event_count=6)

    def test_of_rows_written_by_two_at_once_the_newest_stays(self, shared: Settings) -> None:
        users = [UserId(f"u-{n}") for n in range(20)]
        stores = [FeastStore(shared) for _ in range(2)]
        times = [[0, 30, 10, 20], [25, 5, 40, 15]]  # seconds after noon, by store, in the order written

        def write(store: FeastStore, seconds: list[int]) -> None:
            for second in seconds:
                at = NOON + timedelta(seconds=second)
                store.write_users({user: (at, UserFeatures(event_count=second)) for user in users})

        with ThreadPoolExecutor(2) as threads:
            for written in [threads.submit(write, *each) for each in zip(stores, times, strict=True)]:
                written.result()
        assert {row.event_count for user in users if (row := stores[0].read_user(user))} == {40}


class TestFeastOnSqlite(OfTwoProcesses):
    @pytest.fixture
    def shared(self, local_settings: Settings) -> Settings:
        apply(local_settings)
        return local_settings


class TestFeastOnRedis(OfTwoProcesses):
    @pytest.fixture
    def shared(self, redis_url: str, tmp_path: Path) -> Settings:
        database = secrets.randbelow(15) + 1
        settings = Settings(state_dir=tmp_path, redis_url=redis_url.replace("/0", f"/{database}"))
        redis.Redis.from_url(settings.redis_url).flushdb()
        apply(settings)
        return settings

    def test_a_row_that_another_writes_between_the_comparison_and_the_write_is_compared_again(
        self, shared: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        between, owner = FeastStore(shared), FeastStore(shared)
        compare = newest_rows._not_older
        others = [lambda: owner.write_users({USER: (NOON + timedelta(seconds=6), UserFeatures(event_count=6))})]

        def compare_late(*args: Any) -> list[newest_rows.Row]:
            compared = compare(*args)
            if others:
                others.pop()()
            return compared

        monkeypatch.setattr(newest_rows, "_not_older", compare_late)
        between.write_users({USER: (NOON + timedelta(seconds=3), UserFeatures(event_count=3))})
        assert owner.read_user(USER) == UserFeatures(event_count=6)


@pytest.fixture
def applied(local_settings: Settings) -> Settings:
    apply(local_settings)
    return local_settings


def test_an_older_row_is_dropped_by_a_process_that_did_not_write_the_newer(applied: Settings) -> None:
    FeastStore(applied).write_users({USER: (NOON, FULL_USER)})
    FeastStore(applied).write_users({USER: (NOON - timedelta(microseconds=1), UserFeatures())})
    assert FeastStore(applied).read_user(USER) == FULL_USER


def test_applying_again_keeps_the_rows(applied: Settings) -> None:
    FeastStore(applied).write_users({USER: (NOON, FULL_USER)})
    apply(applied)
    assert FeastStore(applied).read_user(USER) == FULL_USER


def test_a_store_whose_views_were_never_registered_registers_them(local_settings: Settings) -> None:
    store = FeastStore(local_settings)
    assert store.read_user(USER) is None
    store.write_users({USER: (NOON, FULL_USER)})
    assert FeastStore(local_settings).read_user(USER) == FULL_USER


@pytest.mark.parametrize("first", ["reader", "writer"])
def test_a_folder_deleted_under_running_processes_is_an_empty_store_to_all_of_them(
    applied: Settings, first: str
) -> None:
    reader, writer = FeastStore(applied), FeastStore(applied)
    writer.write_users({USER: (NOON, FULL_USER)})
    writer.write_mark("users/0")
    assert reader.read_user(USER) == FULL_USER
    shutil.rmtree(applied.feast_dir)
    if first == "reader":
        assert reader.read_marks(["users/0"]) == frozenset()
        assert reader.read_user(USER) is None
    writer.write_users({USER: (NOON, FULL_USER)})
    assert reader.read_user(USER) == FULL_USER
    assert reader.read_marks(["users/0"]) == frozenset()


def test_a_lost_registry_is_made_again_by_the_next_process_and_rows_in_redis_stay(
    redis_url: str, tmp_path: Path
) -> None:
    settings = Settings(state_dir=tmp_path, redis_url=redis_url)
    user = UserId(f"of-{secrets.token_hex(4)}")
    FeastStore(settings).write_users({user: (NOON, FULL_USER)})
    shutil.rmtree(settings.feast_dir)
    assert FeastStore(settings).read_user(user) == FULL_USER


def test_a_redis_that_is_away_is_unavailable(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, redis_url="redis://127.0.0.1:1/0")
    apply(settings)
    store = FeastStore(settings)
    with pytest.raises(FeaturesUnavailable, match=r"127\.0\.0\.1:1"):
        store.read_user(USER)
    started = time.monotonic()
    with pytest.raises(FeaturesUnavailable):
        store.write_users({UserId("u"): (NOON, UserFeatures())})
    assert time.monotonic() - started < 2


def test_a_killed_redis_is_unavailable_and_answers_again_after_its_restart(tmp_path: Path) -> None:
    with servers.running(servers.redis()) as server:
        settings = Settings(state_dir=tmp_path, redis_url=server.address)
        apply(settings)
        store = FeastStore(settings)
        store.write_users({USER: (NOON, FULL_USER)})
        server.kill()
        with pytest.raises(FeaturesUnavailable):
            store.read_user(USER)
        server.start()
        deadline = time.monotonic() + 10
        while True:
            try:
                assert store.read_user(USER) is None
                break
            except FeaturesUnavailable:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        store.write_users({USER: (NOON - timedelta(days=1), FULL_USER)})
        assert store.read_user(USER) == FULL_USER, "a Redis that lost its rows takes an older row again"


def test_event_times_keep_their_microseconds() -> None:
    assert to_us(NOON + timedelta(microseconds=1)) - to_us(NOON) == 1


@pytest.mark.parametrize(
    ("url", "connection"),
    [
        ("redis://shop:6380/2", "shop:6380,db=2"),
        ("redis://shop", "shop:6379"),
        ("redis://:secret@shop:6379/0", "shop:6379,db=0,password=secret"),
        ("rediss://me:secret@shop:6379", "shop:6379,username=me,password=secret,ssl=true"),
        ("shop:6379,db=1", "shop:6379,db=1"),
    ],
)
def test_a_redis_url_becomes_feasts_connection_string(url: str, connection: str) -> None:
    address, *rest = connection.split(",")
    assert redis_connection(url) == (connection if "://" not in url else ",".join([address, *REDIS_LIMITS, *rest]))


def test_a_redis_that_is_away_is_told_without_its_password(tmp_path: Path) -> None:
    url = f"redis://:s3cret@127.0.0.1:{servers.free_port()}/0"
    settings = Settings(state_dir=tmp_path, redis_url=url)
    apply(settings)
    store = FeastStore(settings)
    for _ in range(2):  # the second within the second in which it is not asked again
        with pytest.raises(FeaturesUnavailable, match=r"away|from") as away:
            store.read_user(UserId("ann"))
        assert "s3cret" not in str(away.value)


def test_a_row_that_no_stream_wrote_is_unavailable_and_the_store_is_not(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    apply(settings)
    store = FeastStore(settings)
    store.write_users({UserId("ann"): (NOON, UserFeatures(category_names=("tea",)))})
    store.write_users({UserId("bob"): (NOON, FULL_USER)})
    with pytest.raises(FeaturesUnavailable, match="found a row of 'ann'"):
        store.read_user(UserId("ann"))
    assert store.read_user(UserId("bob")) == FULL_USER
