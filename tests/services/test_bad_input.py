"""Bad input over HTTP: each gets problem details that say what was found, what was expected and what to do."""

import base64
from concurrent.futures import Future
from pathlib import Path

import httpx
import pytest

from contracts.settings import Settings
from contracts.topics import EVENTS, ITEMS, Topic
from feature_repo.pictures import FilePictureStore
from services.gateway.problems import MOST_ERRORS
from tests.builders.files import fill, small_disk
from tests.services.doubles import NOON, Shop
from tests.suites.picture_store import picture


def problem_of(answer: httpx.Response, status: int, reason: str) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["reason"] == reason
    assert "found" in body["detail"]
    return body


@pytest.mark.parametrize("path", ["/v1/events", "/v1/recommendations", "/v1/search", "/v1/embeddings"])
async def test_malformed_json_is_400(empty_shop: Shop, path: str) -> None:
    answer = await empty_shop.http.post(path, content=b"{not json", headers={"content-type": "application/json"})
    problem_of(answer, 400, "malformed_json")


async def test_a_json_body_without_its_content_type_is_415_and_says_which(empty_shop: Shop) -> None:
    answer = await empty_shop.http.post(
        "/v1/recommendations",
        content=b'{"user_id": "u"}',
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert "content-type: application/json" in problem_of(answer, 415, "unsupported_media_type")["detail"]


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"kind": "teleport", "user_id": "u", "item_id": "i"}, "undecodable"),
        ({"user_id": "u", "item_id": "i"}, "undecodable"),
        ({"kind": "click", "item_id": "i"}, "invalid"),
        ({"kind": "click", "user_id": "u"}, "invalid"),
        ({"kind": "click", "user_id": "", "item_id": "i"}, "invalid"),
        ({"kind": "click", "user_id": "u", "item_id": "i", "event_id": ""}, "invalid"),
        ({"kind": "rating", "user_id": "u", "item_id": "i", "stars": 9}, "invalid"),
        ({"kind": "purchase", "user_id": "u", "item_id": "i", "quantity": 0}, "invalid"),
        ({"kind": "click", "user_id": "u", "item_id": "i", "at": "2026-03-01T12:06:00Z"}, "future"),
        ({"kind": "click", "user_id": "u", "item_id": "i", "at": "1969-03-01T12:00:00Z"}, "invalid"),
        ({"kind": "click", "user_id": "u", "item_id": "i", "at": "2026-03-01T12:00:00"}, "invalid"),
        ({"kind": "click", "user_id": "u", "item_id": "i", "colour": "red"}, "invalid"),
        ({"kind": "impression", "user_id": "u"}, "undecodable"),
        ("click", "undecodable"),
        ([None], "undecodable"),
    ],
)
async def test_an_event_that_cannot_be_taken_is_422_with_its_reason(
    empty_shop: Shop, event: object, reason: str
) -> None:
    body = problem_of(await empty_shop.http.post("/v1/events", json=event), 422, reason)
    assert body["errors"][0]["index"] == 0


async def test_an_empty_batch_and_a_batch_too_long_are_422(empty_shop: Shop) -> None:
    problem_of(await empty_shop.http.post("/v1/events", json=[]), 422, "invalid")
    problem_of(await empty_shop.http.post("/v1/events", json=[{}] * 1001), 422, "invalid")


async def test_good_events_of_a_batch_are_taken_and_bad_ones_named_by_their_place(empty_shop: Shop) -> None:
    good = {"kind": "click", "user_id": "u", "item_id": "i", "at": NOON.isoformat(), "event_id": "e1"}
    answer = await empty_shop.http.post("/v1/events", json=[good, {"kind": "teleport"}])
    assert answer.status_code == 202
    assert answer.json()["accepted"] == 1
    assert answer.json()["event_ids"] == ["e1"]
    assert [(refused["index"], refused["reason"]) for refused in answer.json()["rejected"]] == [(1, "undecodable")]


async def test_of_a_body_in_which_everything_is_wrong_a_few_places_are_told(empty_shop: Shop) -> None:
    answer = await empty_shop.http.post("/v1/recommendations", json={f"key-{n}": "x" * 1000 for n in range(1000)})
    body = problem_of(answer, 422, "invalid")
    assert len(body["errors"]) == MOST_ERRORS
    assert len(answer.content) < 10_000


@pytest.mark.parametrize("texts", [["x" * 11_001], ["x" * 10_001] * 10, ["x"] * 513])
async def test_more_text_than_is_encoded_in_a_moment_is_refused(empty_shop: Shop, texts: list[str]) -> None:
    problem_of(await empty_shop.http.post("/v1/embeddings", json={"texts": texts}), 422, "invalid")


@pytest.mark.parametrize(
    ("request_body", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"user_id": ""}, "user_id"),
        ({"user": "ann"}, "user"),
        ([], "(body)"),
        ({"exclude": "wine"}, "exclude"),
    ],
)
async def test_a_request_that_does_not_fit_is_422_and_names_the_field(
    empty_shop: Shop, request_body: object, field: str
) -> None:
    body = problem_of(await empty_shop.http.post("/v1/recommendations", json=request_body), 422, "invalid")
    assert [error["field"] for error in body["errors"]] == [field]
    assert field in body["detail"]


async def test_a_search_for_nothing_is_422(empty_shop: Shop) -> None:
    problem_of(await empty_shop.http.post("/v1/search", json={"text": "  "}), 422, "invalid")


@pytest.mark.parametrize(
    ("picture", "reason"),
    [("§§§", "invalid"), (base64.b64encode(b"this is no picture").decode(), "bad_picture")],
)
async def test_a_picture_that_is_no_picture_is_422(empty_shop: Shop, picture: str, reason: str) -> None:
    problem_of(await empty_shop.http.post("/v1/search", json={"picture_base64": picture}), 422, reason)
    put = await empty_shop.http.put("/v1/items/i1", json={"title": "A", "picture_base64": picture})
    problem_of(put, 422, reason)


async def test_a_picture_too_large_is_422() -> None:
    shop = Shop(Settings(picture_max_bytes=10))
    shop.settle()
    picture = base64.b64encode(b"\x89PNG" + b"0" * 20).decode()
    problem_of(await shop.http.post("/v1/search", json={"picture_base64": picture}), 422, "bad_picture")
    shop.close()


async def test_a_body_too_large_is_413_by_its_length_and_as_it_arrives() -> None:
    shop = Shop(Settings(body_max_bytes=100))
    shop.settle()
    large = b'{"user_id": "' + b"u" * 200 + b'"}'

    async def in_pieces():
        yield large[:90]
        yield large[90:]

    for path in ("/v1/events", "/v1/recommendations"):
        headers = {"content-type": "application/json"}
        problem_of(await shop.http.post(path, content=large, headers=headers), 413, "body_too_large")
        problem_of(await shop.http.post(path, content=in_pieces(), headers=headers), 413, "body_too_large")
    assert (await shop.http.post("/v1/recommendations", json={"user_id": "u"})).status_code == 200
    shop.close()


async def test_unknown_routes_are_404_and_wrong_methods_405(empty_shop: Shop) -> None:
    problem_of(await empty_shop.http.get("/v1/nothing"), 404, "not_found")
    problem_of(await empty_shop.http.post("/nothing"), 404, "not_found")
    body = problem_of(await empty_shop.http.get("/v1/events"), 405, "method_not_allowed")
    assert "POST" in body["detail"]


async def test_unknown_items_users_traces_and_pictures_are_404(empty_shop: Shop) -> None:
    for path in ("/v1/items/ghost", "/v1/users/ghost", "/v1/traces/ghost", f"/v1/pictures/{'0' * 64}"):
        problem_of(await empty_shop.http.get(path), 404, "not_found")
    problem_of(await empty_shop.http.delete("/v1/items/ghost"), 404, "not_found")


async def test_an_event_is_503_with_retry_after_while_the_log_is_away(empty_shop: Shop) -> None:
    empty_shop.log.available = False
    answer = await empty_shop.http.post("/v1/events", json={"kind": "click", "user_id": "u", "item_id": "i"})
    problem_of(answer, 503, "log_unavailable")
    assert answer.headers["retry-after"] == "1"


async def test_an_event_sent_again_with_the_id_that_the_503_names_counts_once(empty_shop: Shop) -> None:
    publish = empty_shop.log.publish

    def too_late(topic: Topic, key: str, value: bytes | None) -> Future[None]:
        publish(topic, key, value)
        return Future()

    bought = {"kind": "purchase", "user_id": "u", "item_id": "i", "quantity": 2}
    empty_shop.log.publish = too_late
    refused = problem_of(await empty_shop.http.post("/v1/events", json=bought), 503, "log_unavailable")
    empty_shop.log.publish = publish
    (given,) = refused["errors"]
    again = {**bought, "event_id": given["event_id"], "at": given["at"]}
    assert (await empty_shop.http.post("/v1/events", json=again)).status_code == 202
    first, second = (message.value for message in empty_shop.log.messages(EVENTS))
    assert first == second


async def test_an_error_inside_is_500_and_the_next_request_goes_on(shop: Shop) -> None:
    whole = shop.parts.view.categories
    shop.parts.view.categories = lambda: 1 / 0
    problem_of(await shop.http.get("/v1/items"), 500, "internal")
    shop.parts.view.categories = whole
    assert (await shop.http.get("/v1/items")).status_code == 200


async def test_a_full_disk_of_the_pictures_is_503_and_the_item_is_not_half_accepted(
    empty_shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        monkeypatch.setattr(empty_shop.pictures, "put", FilePictureStore(disk / "pictures", 100_000).put)
        fill(disk / "ballast")
        item = {"title": "Wine", "category": "food", "picture_base64": base64.b64encode(picture("PNG")).decode()}
        refused = await empty_shop.http.put("/v1/items/i1", json=item)
        problem_of(refused, 503, "pictures_unavailable")
        assert refused.headers["retry-after"]
        assert empty_shop.log.messages(ITEMS) == []
        (disk / "ballast").unlink()
        assert (await empty_shop.http.put("/v1/items/i1", json=item)).status_code == 202


async def test_a_message_that_the_log_never_takes_is_413_and_does_not_make_the_log_away(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("eventlog.memory.MESSAGE_MAX_BYTES", 1000)  # the bounds keep every message far below a broker's
        long = {"title": "Wine", "category": "food", "description": "red " * 300}
        problem_of(await shop.http.put("/v1/items/wine", json=long), 413, "too_large")
    assert shop.parts.log.available
    assert "log_unavailable" not in (await shop.recommend(user_id="ann"))["degraded_reasons"]
