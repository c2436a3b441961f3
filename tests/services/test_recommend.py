"""The request path: what it answers, and what it does without a part."""

import threading
import time

import numpy as np
import pytest

from contracts.errors import VectorsUnavailable
from contracts.events import EventKind, Impression
from contracts.topics import EVENTS
from contracts.wire import decode_user_event
from services.retrieval.candidates import Found
from services.retrieval.co_visit import CoVisitSource
from services.retrieval.content import ContentSource
from services.retrieval.trending import TrendingSource
from tests.services.doubles import FakeModel, Shop, names, unit, version


async def test_an_answer_is_ordered_by_the_model_and_names_its_version_and_sources(shop: Shop) -> None:
    shop.user("ann", "wine")
    answer = await shop.recommend(user_id="ann", limit=3)
    assert names(answer) == ["wine", "beer", "butter"]
    assert answer["model_version"] == "m1"
    assert answer["degraded"] is False
    assert answer["degraded_reasons"] == []
    assert set(answer["items"][1]["sources"]) == {"model", "co_visit", "content", "trending"}
    assert answer["items"][1]["item"]["title"] == "Beer"
    assert set(answer["stage_ms"]) == {"features", "candidates", "merge", "rank", "answer", "log"}


async def test_an_answer_says_which_features_it_was_made_with(shop: Shop) -> None:
    shop.user("ann", "bread", "wine")
    shop.clock.move(4)
    answer = await shop.recommend(user_id="ann")
    assert answer["features"] == {"events_in_history": 2, "last_event_id": "evt-wine", "age_s": 4.0}


async def test_what_was_bought_excluded_out_of_stock_deleted_or_open_now_is_left_out(shop: Shop) -> None:
    shop.user("ann", "wine", purchased_items=("wine",))
    shop.put("beer", in_stock=False)
    shop.delete("bread")
    shop.settle()
    answer = await shop.recommend(user_id="ann", exclude=["soap"])
    assert names(answer) == ["butter"]
    assert names(await shop.recommend(user_id="ann", similar_to=["butter"], exclude_purchased=False)) == [
        "wine",
        "soap",
    ]


async def test_one_category_is_kept_to(shop: Shop) -> None:
    assert names(await shop.recommend(user_id="ann", category="home")) == ["soap"]
    assert names(await shop.recommend(category="nowhere")) == []


async def test_an_unknown_user_gets_a_page(shop: Shop) -> None:
    answer = await shop.recommend(user_id="never-seen")
    assert len(answer["items"]) == 5
    assert answer["features"] == {"events_in_history": 0, "last_event_id": None, "age_s": None}
    assert answer["degraded"] is False


async def test_an_anonymous_shopper_is_answered_from_the_items_of_the_moment(shop: Shop) -> None:
    assert names(await shop.recommend(similar_to=["bread"], limit=1)) == ["butter"]


async def test_unknown_items_in_the_request_change_nothing(shop: Shop) -> None:
    shop.user("ann", "wine")
    plain = await shop.recommend(user_id="ann", explain=True)
    with_ghosts = await shop.recommend(user_id="ann", similar_to=["ghost"], exclude=["ghost"], explain=True)
    assert len(plain["items"]) == 5
    assert with_ghosts["items"] == plain["items"]


async def test_an_empty_catalogue_is_said(empty_shop: Shop) -> None:
    answer = await empty_shop.recommend(user_id="ann")
    assert answer["items"] == []
    assert answer["degraded_reasons"] == ["empty_catalogue", "no_model"]


async def test_without_the_feature_store_the_page_is_full_and_degraded_and_recovers(shop: Shop) -> None:
    shop.features.available = False
    answer = await shop.recommend(user_id="ann")
    assert answer["degraded_reasons"] == ["features_unavailable"]
    assert len(answer["items"]) == 5
    shop.features.available = True
    shop.parts.feature_calls._open_until = 0.0  # the breaker's second has passed
    assert (await shop.recommend(user_id="ann"))["degraded"] is False


async def test_without_the_vector_index_the_model_searches_its_own_matrix(shop: Shop) -> None:
    shop.user("ann", "wine")
    shop.index.available = False
    answer = await shop.recommend(user_id="ann", limit=2)
    assert answer["degraded_reasons"] == ["vectors_unavailable"]
    assert names(answer) == ["wine", "beer"]
    assert "model" in answer["items"][0]["sources"]


async def test_without_a_model_the_sources_order_the_page(empty_shop: Shop) -> None:
    for place, name in enumerate(("wine", "beer", "bread")):
        empty_shop.put(name)
        empty_shop.item_features(name, trend_score=float(place + 1))
    empty_shop.settle()
    answer = await empty_shop.recommend(user_id="ann")
    assert answer["degraded_reasons"] == ["no_model"]
    assert answer["model_version"] is None
    assert names(answer) == ["bread", "beer", "wine"]


async def test_items_without_any_interaction_fill_the_page(empty_shop: Shop) -> None:
    for name in ("a", "b", "c"):
        empty_shop.put(name)
    empty_shop.settle()
    assert names(await empty_shop.recommend(limit=2)) == ["a", "b"]


async def test_a_ranking_that_fails_leaves_the_order_of_the_merge(shop: Shop) -> None:
    shop.models["m1"].fail_ranking = True
    answer = await shop.recommend(user_id="ann")
    assert answer["degraded_reasons"] == ["ranking_failed"]
    assert answer["model_version"] is None
    assert len(answer["items"]) == 5


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
async def test_scores_that_are_not_finite_are_neither_answered_nor_logged(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, score: float
) -> None:
    monkeypatch.setattr(FakeModel, "rank", lambda self, history, user, ids, *rest: np.full(len(ids), score))
    answer = await shop.recommend(user_id="ann")
    assert answer["degraded_reasons"] == ["ranking_failed"]
    assert len(answer["items"]) == 5
    assert all(isinstance(item["score"], float) for item in answer["items"])


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (CoVisitSource, "source_failed"),
        (TrendingSource, "source_failed"),
        (ContentSource, "vectors_unavailable"),
    ],
)
async def test_a_source_that_fails_is_told_by_what_it_needs(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, source: type, told: str
) -> None:
    async def fails(self: object, query: object) -> Found:
        raise RuntimeError("a bug in a source")

    monkeypatch.setattr(source, "find", fails)
    answer = await shop.recommend(user_id="ann")
    assert answer["degraded_reasons"] == [told]
    assert answer["items"]


async def test_a_stale_learner_and_stale_streams_are_said_by_their_heartbeats(shop: Shop) -> None:
    shop.clock.move(shop.settings.heartbeat_stale_after_s + 1)
    assert (await shop.recommend())["degraded_reasons"] == ["streams_stale", "learner_stale"]
    shop.beat()
    shop.settle()
    assert (await shop.recommend())["degraded"] is False


async def test_a_vector_index_that_hangs_does_not_outlast_the_deadline() -> None:
    from contracts.settings import Settings

    shop = Shop(Settings(request_deadline_ms=200))
    shop.beat()
    shop.put("wine")
    shop.content("wine", unit(1))
    shop.publish_model(FakeModel(version("m1"), {"wine": unit(1)}))
    shop.settle()

    released = threading.Event()

    def hang(*_: object) -> list:
        released.wait(30)
        raise VectorsUnavailable("found nothing; expected something")

    shop.index.search = hang
    began = time.perf_counter()
    answer = await shop.recommend(user_id="ann")
    assert time.perf_counter() - began < 10
    assert answer["degraded_reasons"] == ["vectors_unavailable"]
    assert names(answer) == ["wine"]
    released.set()
    shop.close()


async def test_a_page_that_would_be_empty_shows_what_was_bought(shop: Shop) -> None:
    shop.user("ann", "wine", purchased_items=("wine", "beer", "bread", "butter", "soap"))
    assert len((await shop.recommend(user_id="ann"))["items"]) == 5


async def test_the_impression_is_logged_with_positions_and_sources(shop: Shop) -> None:
    shop.user("ann", "wine")
    answer = await shop.recommend(user_id="ann", session_id="s1", limit=2)
    await shop.drain(lambda: len(shop.log.messages(EVENTS)) == 1)
    impression = decode_user_event(shop.log.messages(EVENTS)[0].value, shop.clock())
    assert impression.kind is EventKind.IMPRESSION
    assert impression.request_id == answer["request_id"]
    assert impression.session_id == "s1"
    assert [(item.item_id, item.position) for item in impression.items] == [("wine", 0), ("beer", 1)]
    assert list(impression.items[0].sources) == answer["items"][0]["sources"]


async def test_the_impression_says_which_state_of_the_users_row_was_served(shop: Shop) -> None:
    shop.user("ann", "wine", "bread", event_count=7)
    await shop.recommend(user_id="ann")
    await shop.recommend(user_id="stranger")
    await shop.drain(lambda: len(shop.log.messages(EVENTS)) == 2)
    served = {
        event.user_id: event.features_event_count
        for message in shop.log.messages(EVENTS)
        if isinstance(event := decode_user_event(message.value, shop.clock()), Impression)
    }
    assert served == {"ann": 7, "stranger": None}


async def test_a_log_that_is_away_degrades_answers_until_it_returns(shop: Shop) -> None:
    shop.log.available = False
    await shop.recommend(user_id="ann")
    await shop.drain(lambda: not shop.parts.log.available)
    assert "log_unavailable" in (await shop.recommend(user_id="ann"))["degraded_reasons"]
    shop.log.available = True
    await shop.parts.log.publish([])
    assert (await shop.recommend(user_id="ann"))["degraded"] is False


async def test_reasons_are_told_when_asked_for(shop: Shop) -> None:
    shop.user("ann", "wine", kind=EventKind.PURCHASE, category_names=("food",), category_weights=(2.0,))
    answer = await shop.recommend(user_id="ann", explain=True, exclude=["wine"], limit=1)
    assert answer["items"][0]["reasons"] == [
        "Because you bought Wine.",
        "Shoppers who looked at Wine also looked at this.",
        "You often choose food.",
    ]
    assert (await shop.recommend(user_id="ann"))["items"][0]["reasons"] == []
