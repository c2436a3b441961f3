"""Several real workers on a real Apache Kafka: killed, ended, stopped, scaled, out of disk, without brokers."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from redis import Redis

from feature_repo.online import FeastStore
from tests.builders import servers
from tests.builders.files import fill, small_disk
from tests.faults.fleet import under_load, wait_until
from tests.faults.verdict import judge

pytestmark = [pytest.mark.real_kafka, pytest.mark.timeout(600)]

RATE = 150
"""Events a second: CI has two cores for brokers, workers, load and the other tests' leftovers."""


def flush(redis_url: str) -> None:
    """Redis as after a start without its data."""
    with Redis.from_url(redis_url) as client:
        client.flushall()


@pytest.fixture
def redis() -> Iterator[str]:
    with servers.running(servers.redis()) as server:
        yield server.address


def test_workers_with_directories_of_their_own_are_killed_ended_and_stopped_and_nothing_is_lost(
    tmp_path: Path, redis: str
) -> None:
    with under_load(tmp_path, RATE, own_directories=True, redis_url=redis) as (fleet, load):
        fleet.start(1)
        load.start()
        fleet.wait_until_folding(1)
        fleet.start(2)
        fleet.wait_until_folding(2)
        fleet.kill(1)
        time.sleep(8)  # beyond the session: worker 2 takes over
        fleet.start(1)
        fleet.wait_until_folding(1)
        assert fleet.end(2) == 0
        fleet.start(2)
        fleet.wait_until_folding(2)
        with fleet.stopped(1):
            time.sleep(8)
        time.sleep(3)
        load.stop()
        fleet.wait_until_caught_up()
        store = FeastStore(fleet.settings(1))
        verdict = judge(fleet, load, store)
        assert verdict.differences() == {}
        assert verdict.events >= 2000
        flush(redis)
        wait_until(lambda: not judge(fleet, load, store).rows, 60, lambda: "rows are missing after FLUSHALL")


def test_workers_that_share_a_directory_are_scaled_from_one_to_three_and_back_and_nothing_is_lost(
    tmp_path: Path,
) -> None:
    with under_load(tmp_path, RATE, seed=8) as (fleet, load):
        fleet.start(1)
        load.start()
        fleet.wait_until_folding(1)
        fleet.start(2)
        fleet.start(3)
        fleet.wait_until_folding(2)
        fleet.wait_until_folding(3)
        fleet.kill(3)
        time.sleep(2)
        assert fleet.end(2) == 0
        fleet.kill(1)
        fleet.start(1)
        fleet.wait_until_folding(1)
        load.stop()
        fleet.wait_until_caught_up()
        verdict = judge(fleet, load, FeastStore(fleet.settings(1)))
        assert verdict.differences() == {}


def test_a_broker_dies_then_the_quorum_and_a_rolling_restart_follows_and_nothing_is_lost(tmp_path: Path) -> None:
    with (
        under_load(tmp_path, RATE // 2, brokers=3, seed=9) as (fleet, load),
        servers.running(servers.gateway(fleet.cluster.bootstrap)) as gateway,
    ):
        cluster = fleet.cluster
        fleet.start(1)
        fleet.start(2)
        load.start()
        fleet.wait_until_folding(1)
        fleet.wait_until_folding(2)
        cluster.kill_broker(1)
        time.sleep(8)
        assert accepted_after_retries(gateway, "before", within_s=60)
        cluster.kill_broker(2)  # two of three: nothing is acknowledged
        refused = send(gateway, "meanwhile")
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        time.sleep(3)
        cluster.start_brokers()
        assert accepted_after_retries(gateway, "meanwhile", within_s=120)
        for number in (1, 2, 3):
            cluster.stop_broker(number)
            time.sleep(2)
            cluster.start_brokers()
            time.sleep(4)
            assert accepted_after_retries(gateway, f"after-{number}", within_s=90)
        load.stop()
        fleet.wait_until_caught_up(180)
        verdict = judge(fleet, load, FeastStore(fleet.settings(1)))
        assert verdict.differences() == {}
        assert load.acknowledged


def send(gateway: servers.Server, event_id: str) -> httpx.Response:
    """One click by HTTP."""
    click = {"kind": "click", "event_id": event_id, "user_id": "by-http", "item_id": "last"}
    return httpx.post(f"{gateway.address}/v1/events", json=click, timeout=60)


def accepted_after_retries(gateway: servers.Server, event_id: str, within_s: float) -> bool:
    """Sends it until the log has it, as a shop does that was answered 503."""
    deadline_s = time.monotonic() + within_s
    while (status := send(gateway, event_id).status_code) == 503 and time.monotonic() < deadline_s:
        time.sleep(1)
    return status == 202


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "state" / "streams", megabytes=4) as directory:
        yield directory


def test_a_disk_that_fills_up_blames_no_event_and_once_there_is_room_all_goes_on(tmp_path: Path, disk: Path) -> None:
    with under_load(tmp_path, RATE, seed=10) as (fleet, load):
        fleet.start(1)
        load.start()
        fleet.wait_until_folding(1)
        fill(disk / "ballast")
        time.sleep(6)
        assert "No space" in fleet.tail(1) or "full" in fleet.tail(1)
        subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
        load.stop()
        fleet.wait_until_caught_up()
        verdict = judge(fleet, load, FeastStore(fleet.settings(1)))
        assert verdict.differences() == {}
