"""The feature stores, and what Feast on SQLite does beyond the port."""

import secrets
import time
from datetime import timedelta
from pathlib import Path

import pytest
import redis

from contracts.errors import FeaturesUnavailable
from contracts.features import UserFeatures
from contracts.ids import UserId
from contracts.ports import FeatureStore
from contracts.settings import Settings
from feature_repo.memory import MemoryFeatureStore
from feature_repo.online import FeastStore, to_us
from feature_repo.store_config import REDIS_LIMITS, apply, redis_connection
from tests.builders import servers
from tests.suites.feature_store import FULL_USER, NOON, USER, FeatureStoreSuite


class TestMemory(FeatureStoreSuite):
    @pytest.fixture
    def store(self) -> FeatureStore:
        return MemoryFeatureStore()


class TestFeastOnSqlite(FeatureStoreSuite):
    @pytest.fixture
    def store(self, local_settings: Settings) -> FeatureStore:
        apply(local_settings)
        return FeastStore(local_settings)


class TestFeastOnRedis(FeatureStoreSuite):
    @pytest.fixture
    def store(self, redis_url: str, tmp_path: Path) -> FeatureStore:
        database = secrets.randbelow(15) + 1
        settings = Settings(state_dir=tmp_path, redis_url=redis_url.replace("/0", f"/{database}"))
        redis.Redis.from_url(settings.redis_url).flushdb()
        apply(settings)
        return FeastStore(settings)


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


def test_a_store_that_was_never_applied_is_unavailable(local_settings: Settings) -> None:
    with pytest.raises(FeaturesUnavailable, match="feature views were applied"):
        FeastStore(local_settings).read_user(USER)


def test_a_store_recovers_once_it_is_applied(local_settings: Settings) -> None:
    store = FeastStore(local_settings)
    with pytest.raises(FeaturesUnavailable):
        store.read_user(USER)
    apply(local_settings)
    assert store.read_user(USER) is None


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
