"""The trace of one event, and the two figures that come from it."""

import tracemalloc
from datetime import timedelta

from contracts.ids import EventId, ModelVersion, RequestId
from contracts.traces import Stage, TraceStamp
from contracts.wire import decode, encode
from services.gateway.freshness import percentiles
from services.gateway.traces import KEPT_VERSIONS, TraceBook
from tests.services.doubles import NOON, FakeModel, Shop, unit, version

E1, E2 = EventId("e1"), EventId("e2")
R = RequestId("r")


def book(kept_events: int = 100) -> tuple[TraceBook, list[TraceStamp]]:
    sent: list[TraceStamp] = []
    return TraceBook(sent.append, kept_events), sent


def after(seconds: float):
    return NOON + timedelta(seconds=seconds)


def test_the_figures_run_from_the_receipt_to_the_first_answers() -> None:
    traces, _ = book()
    traces.stamp([E1], Stage.RECEIVED, NOON)
    traces.answered(R, None, [], after(0.1))
    traces.answered(R, None, ["e1"], after(0.4))
    traces.answered(R, None, ["e1"], after(0.9))
    traces.swapped(version("m2", learned=("e1",)))
    traces.answered(R, ModelVersion("m2"), [], after(7.5))
    traces.answered(R, ModelVersion("m2"), [], after(9.0))
    trace = traces.trace(E1)
    assert (trace.click_to_ranking_s, trace.click_to_weights_s) == (0.4, 7.5)
    assert [stamp.stage for stamp in trace.stamps] == [
        Stage.RECEIVED, Stage.ANSWERED_WITH_FEATURES, Stage.ANSWERED_WITH_WEIGHTS
    ]  # fmt: skip


def test_what_an_ancestor_learned_counts_for_the_version_that_is_served() -> None:
    traces, _ = book()
    traces.stamp([E1, E2], Stage.RECEIVED, NOON)
    traces.announced(version("m2", parent="m1", learned=("e1",)))
    traces.announced(version("m3", parent="m2", learned=("e2",)))
    traces.swapped(version("m3", parent="m2", learned=("e2",)))
    traces.answered(R, ModelVersion("m3"), [], after(5))
    assert traces.trace(E1).click_to_weights_s == 5.0
    assert traces.trace(E2).click_to_weights_s == 5.0


def test_an_answer_of_the_version_before_does_not_count() -> None:
    traces, _ = book()
    traces.stamp([E1], Stage.RECEIVED, NOON)
    traces.swapped(version("m1"))
    traces.swapped(version("m2", parent="m1", learned=("e1",)))
    traces.answered(R, ModelVersion("m1"), [], after(1))
    assert traces.trace(E1).click_to_weights_s is None
    traces.answered(R, ModelVersion("m2"), [], after(2))
    assert traces.trace(E1).click_to_weights_s == 2.0


def test_a_version_of_another_line_does_not_count() -> None:
    traces, _ = book()
    traces.stamp([E1], Stage.RECEIVED, NOON)
    traces.announced(version("m2", parent="m1", learned=("e1",)))
    traces.swapped(version("m3", parent="other"))
    traces.answered(R, ModelVersion("m3"), [], after(2))
    assert traces.trace(E1).click_to_weights_s is None


def test_an_answer_of_a_newer_version_counts_whatever_the_names_are() -> None:
    traces, _ = book()
    traces.stamp([E1], Stage.RECEIVED, NOON)
    traces.swapped(version("m9"))
    traces.swapped(version("m1", parent="m9", learned=("e1",)))
    traces.answered(R, ModelVersion("m9"), [], after(1))
    assert traces.trace(E1).click_to_weights_s is None
    traces.answered(R, ModelVersion("m1"), [], after(2))
    assert traces.trace(E1).click_to_weights_s == 2.0


def test_an_event_that_the_announcement_has_no_room_for_is_known_by_its_stamp() -> None:
    traces, _ = book()
    traces.stamp([E1, E2], Stage.RECEIVED, NOON)
    traces.observe(TraceStamp(event_id=E1, stage=Stage.PUBLISHED, at=after(1), model_version=ModelVersion("m2")))
    traces.announced(version("m2"))
    traces.swapped(version("m2"))
    traces.observe(TraceStamp(event_id=E2, stage=Stage.PUBLISHED, at=after(1), model_version=ModelVersion("m2")))
    traces.answered(R, ModelVersion("m2"), [], after(3))
    assert traces.trace(E1).click_to_weights_s == traces.trace(E2).click_to_weights_s == 3.0


def test_stamps_of_others_and_ones_own_coming_back_are_kept_once() -> None:
    traces, sent = book()
    traces.stamp([E1], Stage.RECEIVED, NOON)
    traces.observe(sent[0])
    traces.observe(TraceStamp(event_id=E1, stage=Stage.FOLDED, at=after(0.1)))
    traces.observe(TraceStamp(event_id=E1, stage=Stage.FOLDED, at=after(0.2)))
    assert [stamp.at for stamp in traces.trace(E1).stamps] == [NOON, after(0.1)]
    assert len(sent) == 1


def test_figures_are_recovered_from_the_topic_after_a_restart() -> None:
    traces, sent = book()
    traces.observe(TraceStamp(event_id=E1, stage=Stage.RECEIVED, at=NOON))
    traces.observe(TraceStamp(event_id=E1, stage=Stage.ANSWERED_WITH_FEATURES, at=after(0.3)))
    assert traces.freshness.click_to_ranking().p50 == 0.3
    assert sent == []


def test_the_oldest_events_are_forgotten() -> None:
    traces, _ = book(kept_events=1)
    traces.stamp([E1, E2], Stage.RECEIVED, NOON)
    assert traces.trace(E1) is None
    assert traces.trace(E2) is not None


def test_stamps_come_back_as_they_were_given_to_the_microsecond() -> None:
    traces, sent = book()
    at = NOON + timedelta(microseconds=123_457)
    traces.stamp([E1], Stage.RECEIVED, at)
    traces.swapped(version("m2", learned=("e1",)))
    traces.answered(R, ModelVersion("m2"), ["e1"], after(2))
    trace = traces.trace(E1)
    assert set(trace.stamps) == set(sent)
    assert len(sent) == 3
    assert {(stamp.model_version, stamp.request_id) for stamp in trace.stamps} == {(None, None), ("m2", "r")}
    assert trace.click_to_ranking_s == 2 - 0.123457


def test_a_full_book_of_whole_traces_takes_a_small_part_of_a_replicas_memory() -> None:
    traces, _ = book(kept_events=2_000)
    stamped = [
        encode(TraceStamp(event_id=EventId(f"evt-{n:028}"), stage=stage, at=after(n), request_id=RequestId(f"req-{n}")))
        for n in range(4_000)
        for stage in Stage
    ]  # fmt: skip
    tracemalloc.start()
    for raw in stamped:
        traces.observe(decode(TraceStamp, raw))
    held_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held_bytes / 2_000 < 2_500  # bytes an event; nine stamps as they come take 10,000


def test_ever_more_versions_are_not_remembered_for_ever() -> None:
    traces, _ = book()
    for number in range(3 * KEPT_VERSIONS):
        one = version(f"m{number:05}", parent=f"m{number - 1:05}", learned=(f"e{number}",))
        traces.announced(one)
        if number % 3 == 0:
            traces.swapped(one)
            traces.announced(one)
    assert len(traces._versions) <= 2, "those that are not served yet"
    assert len(traces._lineage) == KEPT_VERSIONS
    assert len(traces._learned) <= 100


def test_percentiles_interpolate_between_measurements() -> None:
    found = percentiles([1.0, 2.0, 3.0, 4.0, 5.0])
    assert (found.n, found.p50, found.p95) == (5, 3.0, 4.0 + 0.8 * (5.0 - 4.0))
    assert percentiles([]).p50 is None


async def test_a_click_is_followed_over_http_to_both_answers(shop: Shop) -> None:
    click = {"kind": "click", "user_id": "ann", "item_id": "wine", "event_id": "evt-wine"}
    await shop.http.post("/v1/events", json=click)
    shop.clock.move(0.25)
    shop.user("ann", "wine")
    await shop.recommend(user_id="ann")
    shop.publish_model(FakeModel(version("m2", parent="m1", learned=("evt-wine",)), {"wine": unit(1)}))
    shop.clock.move(4)
    shop.settle()
    await shop.recommend(user_id="bob")
    trace = (await shop.http.get("/v1/traces/evt-wine")).json()
    assert (trace["click_to_ranking_s"], trace["click_to_weights_s"]) == (0.25, 0.25 + 4)
    freshness = (await shop.http.get("/v1/freshness")).json()
    assert freshness["click_to_ranking_s"] == {"n": 1, "p50": 0.25, "p95": 0.25, "p99": 0.25}
    assert freshness["versions_served"] == ["m1", "m2"]
