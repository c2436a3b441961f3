"""The promise of Millstream over the whole real stack, on each broker: one click changes the user's next answer through
Kafka, Faust, Feast and Serve, and feedback changes the weights that are served.
"""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import orjson
import pytest
from safetensors.numpy import load_file

from benchmarks.feature_parity import difference
from contracts.clock import to_ms, utc_now
from contracts.errors import StackError
from contracts.events import EventKind
from contracts.ids import EventId, ItemId, UserId, time_ordered_id
from contracts.requests import Answer
from contracts.topics import EVENTS
from contracts.traces import Stage
from eventlog.tail import read_whole
from feature_repo.archive import ArchiveReader
from feature_repo.online import FeastStore
from tests.builders.servers import kafka_cluster
from tests.e2e.stack import ITEMS, USERS, RunningShop, running_shop, until
from training.data.archived_log import archive_join
from training.data.feature_join import Wanted

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

BROKERS = [
    "embedded",
    pytest.param("kafka", marks=pytest.mark.real_kafka),
    pytest.param("three-kafkas", marks=pytest.mark.real_kafka),
]
SENT_WHILE_A_BROKER_DIES = 200


@pytest.fixture(scope="module", params=BROKERS)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningShop]:
    directory: Path = tmp_path_factory.mktemp(request.param)
    if request.param == "embedded":
        with running_shop(directory, None) as shop:
            yield shop
        return
    brokers = 3 if request.param == "three-kafkas" else 1
    with kafka_cluster(directory / "kafka", brokers) as cluster, running_shop(directory, cluster) as shop:
        yield shop


def _newcomer() -> UserId:
    return UserId(time_ordered_id("visitor", utc_now()))


def _click(running: RunningShop, user: UserId, answer: Answer, place: int) -> EventId:
    return running.shop.post_event(EventKind.CLICK, user, answer.items[place].item_id, answer.request_id)


def _answer_with(running: RunningShop, user: UserId, event: EventId) -> Answer:
    return until(
        lambda: running.shop.recommend(user),
        lambda seen: seen.features.last_event_id == event,
        30,
        f"an answer made with {event}",
    )


def test_one_posted_click_changes_the_user_s_next_answer(running: RunningShop) -> None:
    user = _newcomer()
    before = running.shop.recommend(user)
    assert before.features.events_in_history == 0
    event = _click(running, user, before, 3)
    after = _answer_with(running, user, event)

    assert after.features.events_in_history == 1
    assert [(item.item_id, item.score) for item in after.items] != [(item.item_id, item.score) for item in before.items]
    assert not after.degraded, after.degraded_reasons
    stored = FeastStore(running.settings).read_user(user)
    assert stored is not None
    assert stored.recent_event_ids == (event,)


def test_training_joins_the_very_rows_that_are_served(running: RunningShop) -> None:
    user = _newcomer()
    event = _click(running, user, running.shop.recommend(user), 2)
    answer = _answer_with(running, user, event)
    users = (user, *(UserId(f"u{number}") for number in range(USERS)))
    items = tuple(ItemId(f"i{number}") for number in range(ITEMS))
    served = FeastStore(running.settings)

    def differing() -> list[tuple[str, str]]:
        now_ms = to_ms(utc_now())
        rows = archive_join(running.settings)(
            Wanted(tuple((one, now_ms) for one in users), tuple((one, now_ms) for one in items))
        )
        pairs = [
            *((served.read_user(one), row) for one, row in zip(users, rows.users, strict=True)),
            *((served.read_item(one), row) for one, row in zip(items, rows.items, strict=True)),
        ]
        return [told for one, other in pairs if (told := difference(one, other))]

    until(differing, lambda seen: not seen, 60, "every row of the online store as training folds it")

    def noted() -> dict[str, int]:
        columns = ["kind", "request_id", "features_event_count"]
        rows = ArchiveReader(running.settings.archive_dir).read("events", columns).to_pylist()
        return {row["request_id"]: row["features_event_count"] for row in rows if row["kind"] == "impression"}

    # The answer's own impression may be neither folded nor archived yet when all rows are equal.
    seen = until(noted, lambda found: answer.request_id in found, 30, "the impression of the answer in the archive")
    assert seen[answer.request_id] == 1


def test_the_trace_of_a_click_shows_every_stage_in_order(running: RunningShop) -> None:
    user = _newcomer()
    event = _click(running, user, running.shop.recommend(user), 0)
    _answer_with(running, user, event)

    def traced() -> list[Stage]:
        running.shop.recommend(user)
        return [stamp.stage for stamp in running.shop.trace(event).stamps]

    stages = until(traced, lambda seen: set(seen) == set(Stage), 90, "a stamp of every stage")
    at = {stamp.stage: stamp.at for stamp in running.shop.trace(event).stamps}
    assert len(stages) == len(Stage)
    way_to_ranking = [Stage.RECEIVED, Stage.FOLDED, Stage.FEATURES_WRITTEN, Stage.ANSWERED_WITH_FEATURES]
    way_to_weights = [Stage.EXAMPLE_EMITTED, Stage.LEARNED, Stage.PUBLISHED, Stage.ANSWERED_WITH_WEIGHTS]
    for way in (way_to_ranking, way_to_weights):
        assert sorted(way, key=at.__getitem__) == way
    trace = running.shop.trace(event)
    assert trace.click_to_ranking_s == pytest.approx(
        (at[Stage.ANSWERED_WITH_FEATURES] - at[Stage.RECEIVED]).total_seconds()
    )
    assert trace.click_to_weights_s == pytest.approx(
        (at[Stage.ANSWERED_WITH_WEIGHTS] - at[Stage.RECEIVED]).total_seconds()
    )


def test_after_feedback_the_served_version_changes_and_its_weights_differ(running: RunningShop) -> None:
    user = _newcomer()
    first = running.shop.recommend(user)
    assert first.model_version is not None
    weights = load_file(_weights(running, first.model_version))
    event = _click(running, user, first, 1)

    def asked() -> float | None:
        running.shop.recommend(user)
        return running.shop.trace(event).click_to_weights_s

    until(asked, lambda seen: seen is not None, 90, "an answer by weights that learned from the click")
    later = running.shop.recommend(user).model_version
    assert later is not None
    assert later > first.model_version
    learned = load_file(_weights(running, later))
    assert learned.keys() == weights.keys()
    changed = [
        name
        for name in weights
        if learned[name].shape != weights[name].shape or not np.array_equal(learned[name], weights[name])
    ]
    assert changed, "the later version has the same weights"


def test_with_one_of_three_brokers_killed_no_accepted_event_is_lost(running: RunningShop) -> None:
    if running.cluster is None or running.cluster.bootstrap.count(",") != 2:
        pytest.skip("needs three brokers")
    user = _newcomer()
    accepted: set[str] = set()
    for number in range(SENT_WHILE_A_BROKER_DIES):
        if number == SENT_WHILE_A_BROKER_DIES // 4:
            running.cluster.kill_broker(2)
        answer = _patiently_post(running, user)
        accepted.add(answer)

    until(
        lambda: running.shop.recommend(user).features.events_in_history,
        lambda seen: seen >= 50,
        90,
        "the whole history (its newest 50) in the user's features",
    )
    logged = _logged_event_ids(running, user)
    assert set(logged) >= accepted
    archived = until(
        lambda: _archived_event_ids(running, user), lambda seen: seen >= accepted, 60, "every accepted event archived"
    )
    assert len(archived) == len(set(logged))


def _patiently_post(running: RunningShop, user: UserId) -> str:
    """As a shop would: an event that was not accepted is sent again, a second later."""
    for _ in range(30):
        try:
            return running.shop.post_event(EventKind.VIEW, user, ItemId("i1"), None)
        except StackError:
            time.sleep(1)
    raise AssertionError("found no event accepted for 30 s; expected the two brokers left to accept")


def _weights(running: RunningShop, version: str) -> Path:
    return next(iter(sorted((running.settings.models_dir / version).glob("*.safetensors"))))


def _logged_event_ids(running: RunningShop, user: UserId) -> Counter[str]:
    messages = read_whole(running.settings.bootstrap, EVENTS, 60)
    events = [orjson.loads(message.value or b"{}") for message in messages if message.key == user.encode()]
    return Counter(event["event_id"] for event in events if event["kind"] == "view")


def _archived_event_ids(running: RunningShop, user: UserId) -> set[str]:
    rows = ArchiveReader(running.settings.archive_dir).read("events", ["event_id", "user_id", "kind"]).to_pylist()
    return {row["event_id"] for row in rows if row["user_id"] == user and row["kind"] == "view"}
