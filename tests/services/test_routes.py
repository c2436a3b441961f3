"""The other routes: events into the log, items, pictures, search, embeddings, users, health."""

import base64
import io
from urllib.parse import quote

import pytest
from PIL import Image

from contracts.events import EventKind
from contracts.topics import EVENTS, ITEMS, TRACES
from contracts.vectors import vector_from_base64
from contracts.wire import decode_catalogue_event, decode_user_event
from tests.services.doubles import Shop, names, unit


def png() -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(written, "PNG")
    return written.getvalue()


async def test_a_posted_event_is_in_the_log_traced_and_keyed_by_user(empty_shop: Shop) -> None:
    answer = await empty_shop.http.post("/v1/events", json={"kind": "click", "user_id": "ann", "item_id": "wine"})
    assert answer.status_code == 202
    message = empty_shop.log.messages(EVENTS)[0]
    event = decode_user_event(message.value, empty_shop.clock())
    assert message.key == b"ann"
    assert event.traced
    assert event.event_id == answer.json()["event_ids"][0]


async def test_one_event_a_list_and_an_object_of_events_are_taken(empty_shop: Shop) -> None:
    event = {"kind": "search", "user_id": "ann", "text": "wine"}
    for body, accepted in ((event, 1), ([event, event], 2), ({"events": [event] * 3}, 3)):
        assert (await empty_shop.http.post("/v1/events", json=body)).json()["accepted"] == accepted


async def test_an_item_is_put_read_listed_and_deleted(empty_shop: Shop) -> None:
    body = {"title": "Red wine", "category": "food", "picture_base64": base64.b64encode(png()).decode()}
    put = await empty_shop.http.put("/v1/items/w1", json=body)
    assert put.status_code == 202
    event = decode_catalogue_event(empty_shop.log.messages(ITEMS)[0].value, empty_shop.clock())
    assert event.kind is EventKind.ITEM_UPSERTED
    empty_shop.settle()
    item = (await empty_shop.http.get("/v1/items/w1")).json()
    assert item["title"] == "Red wine"
    picture = await empty_shop.http.get(f"/v1/pictures/{item['picture']}")
    assert picture.content == png()
    assert picture.headers["content-type"] == "image/png"
    assert "immutable" in picture.headers["cache-control"]
    assert (await empty_shop.http.delete("/v1/items/w1")).status_code == 202
    empty_shop.settle()
    assert (await empty_shop.http.get("/v1/items/w1")).status_code == 404
    assert (await empty_shop.http.get("/v1/items")).json()["total"] == 0


async def test_what_was_read_can_be_put_back_and_keeps_its_picture(empty_shop: Shop) -> None:
    body = {"title": "Red wine", "attributes": {"size": "l"}, "picture_base64": base64.b64encode(png()).decode()}
    await empty_shop.http.put("/v1/items/w1", json=body)
    read = (await empty_shop.http.get("/v1/items/w1")).json()
    assert (await empty_shop.http.put("/v1/items/w1", json={**read, "in_stock": False})).status_code == 202
    assert (await empty_shop.http.get("/v1/items/w1")).json() == {**read, "in_stock": False}
    other = await empty_shop.http.put("/v1/items/w2", json=read)
    assert other.status_code == 422
    assert "expected that of the path" in other.json()["detail"]
    lost = await empty_shop.http.put("/v1/items/w1", json={**read, "picture": "0" * 64})
    assert (lost.status_code, lost.json()["reason"]) == (422, "bad_picture")


async def test_a_change_leaves_what_it_does_not_name(empty_shop: Shop) -> None:
    body = {"title": "Red wine", "brand": "Best", "picture_base64": base64.b64encode(png()).decode()}
    await empty_shop.http.put("/v1/items/w1", json=body)
    read = (await empty_shop.http.get("/v1/items/w1")).json()
    assert read["picture"]
    changed = await empty_shop.http.patch("/v1/items/w1", json={"in_stock": False, "price_cents": 790})
    assert changed.status_code == 202
    expected = {**read, "in_stock": False, "price_cents": 790}
    assert (await empty_shop.http.get("/v1/items/w1")).json() == expected
    event = decode_catalogue_event(empty_shop.log.messages(ITEMS)[-1].value, empty_shop.clock())
    assert event.item.model_dump(mode="json") == expected
    await empty_shop.http.patch("/v1/items/w1", json={"picture": None, "brand": ""})
    assert (await empty_shop.http.get("/v1/items/w1")).json() == {**expected, "picture": None, "brand": ""}
    assert (await empty_shop.http.patch("/v1/items/w9", json={"in_stock": False})).status_code == 404
    assert (await empty_shop.http.patch("/v1/items/w1", json={"title": ""})).status_code == 422
    assert (await empty_shop.http.patch("/v1/items/w1", json={"colour": "red"})).status_code == 422


@pytest.mark.parametrize(
    "spelled", ["WR-12/40/7", "trailing/", "/", "a b", "50%25", "x?y=1", "hash#1", "茶", "...", "q\"'"]
)
async def test_an_item_of_any_printable_id_is_put_read_changed_and_deleted(empty_shop: Shop, spelled: str) -> None:
    url = f"/v1/items/{quote(spelled, safe='')}"
    assert (await empty_shop.http.put(url, json={"title": "Thing"})).json()["item_id"] == spelled
    assert (await empty_shop.http.get(url)).json()["item_id"] == spelled
    assert (await empty_shop.http.patch(url, json={"in_stock": False})).json()["item_id"] == spelled
    assert (await empty_shop.http.delete(url)).json()["item_id"] == spelled
    assert (await empty_shop.http.get(url)).status_code == 404


async def test_many_items_are_put_at_once_and_bad_ones_named_by_their_place(empty_shop: Shop) -> None:
    picture = base64.b64encode(png()).decode()
    good = [{"item_id": f"i{number}", "title": "Thing", "picture_base64": picture} for number in range(3)]
    bad = [{"title": "No id"}, 5, {"item_id": "x", "title": "X", "price_cents": -1}]
    answer = await empty_shop.http.post("/v1/items", json=[*good, *bad])
    assert answer.status_code == 202
    assert answer.json()["accepted"] == 3
    assert [(each["index"], each["reason"]) for each in answer.json()["rejected"]] == [
        (n, "invalid") for n in (3, 4, 5)
    ]
    assert "field price_cents: found -1" in answer.json()["rejected"][-1]["detail"]
    assert (await empty_shop.http.get("/v1/items/i2")).json()["picture"]
    assert len(empty_shop.log.messages(ITEMS)) == 3
    none = await empty_shop.http.post("/v1/items", json={"items": bad})
    assert (none.status_code, none.json()["reason"]) == (422, "invalid")
    assert (await empty_shop.http.post("/v1/items", json=[])).status_code == 422
    assert (await empty_shop.http.post("/v1/items", content=b"{no json")).status_code == 400
    assert (await empty_shop.http.post("/v1/items", json=good[:1] * 1001)).status_code == 422


async def test_an_id_that_ends_in_a_slash_never_names_another_item(empty_shop: Shop) -> None:
    await empty_shop.http.put("/v1/items/SKU-9", json={"title": "Nine"})
    empty_shop.http.follow_redirects = True
    assert (await empty_shop.http.delete("/v1/items/SKU-9%2F")).status_code == 404
    assert (await empty_shop.http.delete("/v1/items/SKU-9/")).status_code == 404
    assert (await empty_shop.http.get("/v1/items/SKU-9")).status_code == 200


async def test_items_are_listed_by_page_and_category_what_trends_first(shop: Shop) -> None:
    page = (await shop.http.get("/v1/items", params={"limit": 2, "offset": 1, "category": "food"})).json()
    assert [item["item_id"] for item in page["items"]] == ["bread", "beer"]
    assert page["total"] == 4
    assert page["categories"] == {"food": 4, "home": 1}


async def test_all_items_are_read_once_though_shoppers_click_between_the_pages(empty_shop: Shop) -> None:
    for number in range(25):
        empty_shop.put(f"i{number:02}", category="food" if number % 2 else "home")
    empty_shop.settle()
    read, after = [], ""
    while after is not None:
        page = (await empty_shop.http.get("/v1/items", params={"after": after, "limit": 10})).json()
        read += [item["item_id"] for item in page["items"]]
        after = page["next_after"]
        empty_shop.item_features("i24", trend_score=float(len(read)))
        empty_shop.item_features(f"i{len(read) % 7:02}", trend_score=100.0)
        empty_shop.settle()
    assert read == [f"i{number:02}" for number in range(25)]
    food = (await empty_shop.http.get("/v1/items", params={"after": "i10", "category": "food"})).json()
    assert [item["item_id"] for item in food["items"]] == [f"i{number}" for number in range(11, 25, 2)]
    assert food["next_after"] is None


async def test_a_search_by_text_finds_by_meaning_and_by_word(shop: Shop) -> None:
    answer = (await shop.http.post("/v1/search", json={"text": "wine", "limit": 2, "explain": True})).json()
    assert names(answer) == ["wine", "beer"]
    assert answer["items"][0]["sources"] == ["text"]
    assert answer["items"][0]["reasons"][0] == "It matches your words."
    assert answer["degraded"] is False


async def test_a_search_by_picture_and_by_both(shop: Shop) -> None:
    picture = base64.b64encode(png()).decode()
    answer = (await shop.http.post("/v1/search", json={"picture_base64": picture, "limit": 1})).json()
    assert names(answer) == ["wine"]
    assert answer["items"][0]["sources"] == ["picture"]
    both = (await shop.http.post("/v1/search", json={"picture_base64": picture, "text": "wine", "limit": 1})).json()
    assert sorted(both["items"][0]["sources"]) == ["picture", "text"]


async def test_a_search_of_a_known_user_is_personal_and_logged(shop: Shop) -> None:
    shop.user("ann", "bread")
    query = {"text": "best", "user_id": "ann", "limit": 5}
    answer = (await shop.http.post("/v1/search", json=query)).json()
    assert answer["model_version"] == "m1"
    assert names(answer).index("butter") < names(answer).index("soap")
    await shop.drain(lambda: len(shop.log.messages(EVENTS)) == 2)
    searched, shown = (decode_user_event(message.value, shop.clock()) for message in shop.log.messages(EVENTS))
    assert (searched.kind, searched.text, searched.request_id) == (EventKind.SEARCH, "best", answer["request_id"])
    assert (shown.kind, shown.surface, shown.request_id) == (EventKind.IMPRESSION, "search", answer["request_id"])


async def test_a_search_by_text_goes_on_with_words_while_encoders_or_index_are_away(shop: Shop) -> None:
    shop.embedder.available = False
    answer = (await shop.http.post("/v1/search", json={"text": "beer"})).json()
    assert names(answer) == ["beer"]
    assert answer["degraded_reasons"] == ["embedding_unavailable"]
    shop.embedder.available, shop.index.available = True, False
    answer = (await shop.http.post("/v1/search", json={"text": "beer"})).json()
    assert names(answer) == ["beer"]
    assert answer["degraded_reasons"] == ["vectors_unavailable"]


async def test_a_search_by_picture_alone_is_503_while_encoders_or_index_are_away(shop: Shop) -> None:
    query = {"picture_base64": base64.b64encode(png()).decode()}
    shop.embedder.available = False
    assert (await shop.http.post("/v1/search", json=query)).json()["reason"] == "embedding_unavailable"
    shop.embedder.available, shop.index.available = True, False
    answer = await shop.http.post("/v1/search", json=query)
    assert (answer.status_code, answer.json()["reason"]) == (503, "vectors_unavailable")


async def test_embeddings_are_answered_in_order_with_none_for_what_is_no_picture(empty_shop: Shop) -> None:
    key = empty_shop.pictures.put(png())
    body = {"texts": ["wine", "bread"], "pictures": [key, "0" * 64]}
    answer = (await empty_shop.http.post("/v1/embeddings", json=body)).json()
    assert vector_from_base64(answer["texts"][1]) @ unit(0, 1) == 1.0
    assert vector_from_base64(answer["pictures"][0]) @ unit(1) == 1.0
    assert answer["pictures"][1] is None
    assert answer["text_encoder"] == "wordllama"


async def test_a_users_row_is_shown_with_its_age(shop: Shop) -> None:
    shop.user("ann", "wine")
    shop.clock.move(3)
    answer = (await shop.http.get("/v1/users/ann")).json()
    assert answer["features"]["recent_items"] == ["wine"]
    assert answer["age_s"] == 3.0


async def test_it_is_ready_only_when_the_log_was_read() -> None:
    shop = Shop()
    assert (await shop.http.get("/healthz")).status_code == 200
    waiting = await shop.http.get("/readyz")
    assert waiting.status_code == 503
    assert waiting.json()["parts"]["log"] == "reading"
    shop.settle()
    ready = await shop.http.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["parts"] == {
        "log": "ok", "catalogue": "empty", "model": "none", "features": "ok", "vectors": "ok",
        "streams": "stale", "learner": "stale",
    }  # fmt: skip
    shop.close()


async def test_metrics_count_requests_by_route_and_name_the_version(shop: Shop) -> None:
    await shop.recommend(user_id="ann")
    await shop.http.get("/v1/items/wine")
    text = (await shop.http.get("/metrics")).text
    assert 'millstream_http_requests_total{method="GET",route="/v1/items/{item_id}",status="200"}' in text
    assert 'millstream_model_version_info{version="m1"} 1.0' in text
    assert 'millstream_candidates_total{source="model"}' in text


async def test_the_api_describes_itself(empty_shop: Shop) -> None:
    paths = (await empty_shop.http.get("/openapi.json")).json()["paths"]
    assert {"/v1/events", "/v1/recommendations", "/v1/search", "/v1/items/{item_id}", "/readyz"} <= set(paths)
    assert (await empty_shop.http.get("/docs")).status_code == 200


async def test_the_page_is_served_at_the_root(empty_shop: Shop) -> None:
    page = await empty_shop.http.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")


async def test_stamps_of_posted_events_are_published(empty_shop: Shop) -> None:
    await empty_shop.http.post("/v1/events", json={"kind": "click", "user_id": "ann", "item_id": "wine"})
    await empty_shop.drain(lambda: len(empty_shop.log.messages(TRACES)) == 2)
