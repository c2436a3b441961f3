"""The worker over a real Tansu and a real Feast, killed in the middle: nothing is lost and nothing counts twice."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from contracts.clock import utc_now
from contracts.events import Click
from contracts.examples import TrainingExample
from contracts.ids import EventId, ItemId, UserId
from contracts.rows import ItemFeatureRow
from contracts.settings import Settings
from contracts.topics import EVENTS, FEEDBACK, ITEM_FEATURES, ITEM_TOUCHES, Topic
from contracts.wire import decode, encode
from eventlog.producer import KafkaLog
from eventlog.tail import read_whole
from feature_repo.online import FeastStore
from feature_repo.store_config import apply
from streams.app import create_app
from streams.changelogs import changelog_topics
from tests.builders import servers

EVENT_COUNT = 3000
USERS = 40
ITEMS = 60


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Settings]:
    with servers.running(servers.tansu()) as broker:
        servers.with_topics(broker.address, embedded=True)
        settings = Settings(
            state_dir=tmp_path / "state",
            broker_port=int(broker.address.rpartition(":")[2]),
            streams_metrics_port=servers.free_port(),
            gateway_port=servers.free_port(),
            vectors_port=servers.free_port(),
        )
        apply(settings)
        yield settings


def worker(settings: Settings) -> subprocess.Popen[bytes]:
    environment = {
        f"MILLSTREAM_{name.upper()}": str(getattr(settings, name))
        for name in ("state_dir", "broker_port", "streams_metrics_port", "gateway_port", "vectors_port")
    }
    with (settings.state_dir / "worker.log").open("ab") as errors:
        return subprocess.Popen([sys.executable, "-m", "streams"], env=os.environ | environment, stderr=errors)


def folded(settings: Settings, agent: str) -> float:
    """How many events the worker now running has folded."""
    try:
        text = httpx.get(f"http://127.0.0.1:{settings.streams_metrics_port}/metrics").text
    except httpx.HTTPError:
        return 0.0
    label = f'agent="{agent}",outcome="counted"'
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if label in line and "_total" in line)


def wait_until(condition: Callable[[], bool], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.2)


def values(settings: Settings, topic: Topic) -> list[bytes]:
    messages = read_whole(settings.bootstrap, topic, 20)
    return [message.value for message in messages if message.value is not None]


def item_clicks(settings: Settings) -> int:
    rows = [decode(ItemFeatureRow, value) for value in values(settings, ITEM_FEATURES)]
    newest = {row.item_id: row for row in sorted(rows, key=lambda row: row.at)}
    return sum(row.features().clicks_7d for row in newest.values())


def user_events(store: FeastStore) -> int:
    rows = [store.read_user(UserId(f"user-{number}")) for number in range(USERS)]
    return sum(row.event_count for row in rows if row is not None)


@pytest.mark.timeout(400)
def test_a_worker_killed_in_the_middle_loses_no_event_and_counts_none_twice(stack: Settings) -> None:
    log = KafkaLog(stack.bootstrap, "crash-test", 20)
    start = utc_now() - timedelta(hours=20)
    running = worker(stack)
    try:
        for number in range(EVENT_COUNT):
            event = Click(
                event_id=EventId(f"e{number}"), user_id=UserId(f"user-{number % USERS}"),
                item_id=ItemId(f"item-{number % ITEMS}"), at=start + timedelta(seconds=10 * number),
            )  # fmt: skip
            log.publish(EVENTS, event.user_id, encode(event))
        log.flush(20)
        wait_until(lambda: folded(stack, "users") > 0, 120)
        running.kill()
        running.wait()
        running = worker(stack)
        store = FeastStore(stack)
        wait_until(lambda: user_events(store) >= EVENT_COUNT, 120)
        wait_until(lambda: item_clicks(stack) >= EVENT_COUNT, 60)
        assert user_events(store) == EVENT_COUNT
        assert item_clicks(stack) == EVENT_COUNT
        positives = {decode(TrainingExample, value).event_id for value in values(stack, FEEDBACK)}
        assert len(positives) == EVENT_COUNT
        running.terminate()
        assert running.wait(30) == 0
    finally:
        if running.poll() is None:
            running.kill()
            running.wait()
        log.close()


def test_the_app_needs_no_leader_topic_no_web_server_and_no_broker_of_fausts(local_settings: Settings) -> None:
    app = create_app(local_settings)
    assert app.conf.topic_disable_leader
    assert not app.conf.web_enabled
    assert not app.BootStrategy.enable_kafka


def test_the_changelogs_have_the_partitions_of_the_topics_that_their_states_are_folded_from() -> None:
    users, items = changelog_topics("shop")
    assert (users.name, users.partitions, users.compacted) == ("shop-users-changelog", EVENTS.partitions, True)
    assert (items.name, items.partitions) == ("shop-item-states-changelog", ITEM_TOUCHES.partitions)
