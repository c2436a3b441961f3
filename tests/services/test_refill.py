"""A feature store that lost its rows: it is noticed, answers say so, and it is over once rows and marks are back."""

import asyncio
import time

import pytest

from contracts.events import EventKind
from contracts.ids import ItemId
from contracts.marks import ITEMS_MARKS, USERS_MARKS
from contracts.requests import Source
from contracts.vector_collections import CONTENT_TEXT, MODEL_ITEMS
from services.gateway.repeated import Repeated
from services.retrieval.candidates import Query
from tests.services.conftest import VECTORS
from tests.services.doubles import Shop, unit
from tests.services.test_bad_input import problem_of
from training.model.serving import History


def mark_all(shop: Shop) -> None:
    """As the streams do once every row is written."""
    for name in (*USERS_MARKS, *ITEMS_MARKS):
        shop.features.write_mark(name)


@pytest.fixture
async def marked(shop: Shop) -> Shop:
    """The shop with Ann's row and all marks."""
    shop.user("ann", "bread")
    mark_all(shop)
    await shop.parts.refill.step()
    return shop


async def reasons(shop: Shop, **request: object) -> list[str]:
    found: list[str] = (await shop.recommend(**request))["degraded_reasons"]
    return found


async def state(shop: Shop) -> str:
    word: str = (await shop.http.get("/readyz")).json()["parts"]["features"]
    return word


async def test_an_answer_for_a_user_without_a_row_is_flagged_until_rows_and_marks_are_back(marked: Shop) -> None:
    assert await reasons(marked, user_id="ann") == []
    marked.features.lose_everything()
    await marked.parts.refill.step()
    assert await reasons(marked, user_id="ann") == ["features_refilling"]
    assert await state(marked) == "refilling"
    marked.user("ann", "bread")
    assert await reasons(marked, user_id="ann") == [], "her row is back already"
    assert await reasons(marked, user_id="bob") == ["features_refilling"]
    mark_all(marked)
    await marked.parts.refill.step()
    assert await reasons(marked, user_id="bob") == []
    assert await state(marked) == "ok"


async def test_one_missing_partition_is_enough_and_items_alone_flag_no_user(marked: Shop) -> None:
    marked.features.lose_everything()
    for name in (*USERS_MARKS[1:], *ITEMS_MARKS):
        marked.features.write_mark(name)
    await marked.parts.refill.step()
    assert marked.parts.refill.missing == ["users/0"]
    assert await reasons(marked, user_id="bob") == ["features_refilling"]
    marked.features.write_mark("users/0")
    marked.features._marks.discard("items/2")
    await marked.parts.refill.step()
    assert marked.parts.refill.missing == ["items/2"]
    assert await reasons(marked, user_id="bob") == []
    assert await state(marked) == "refilling"


async def test_a_search_is_flagged_too_and_an_anonymous_answer_is_not(marked: Shop) -> None:
    marked.features.lose_everything()
    await marked.parts.refill.step()
    answer = await marked.http.post("/v1/search", json={"text": "wine", "user_id": "ann"})
    assert answer.json()["degraded_reasons"] == ["features_refilling"]
    assert await reasons(marked) == []


async def test_a_users_page_is_not_denied_while_the_row_may_come_back(marked: Shop) -> None:
    problem_of(await marked.http.get("/v1/users/ghost"), 404, "not_found")
    marked.features.lose_everything()
    await marked.parts.refill.step()
    problem_of(await marked.http.get("/v1/users/ann"), 503, "features_unavailable")


async def test_a_store_that_is_away_is_away_and_what_was_known_of_its_marks_stays(marked: Shop) -> None:
    marked.features.available = False
    await marked.parts.refill.step()
    assert await state(marked) == "away"
    assert marked.parts.refill.missing == []
    assert await reasons(marked, user_id="ann") == ["features_unavailable"]


async def test_lost_vectors_are_flagged_at_the_second_low_count_until_they_are_back(shop: Shop) -> None:
    watch = shop.parts.vector_watch
    await watch.step()
    assert await reasons(shop, user_id="ann") == []
    held = shop.index._vectors[CONTENT_TEXT]
    shop.index._vectors[CONTENT_TEXT] = {}
    await watch.step()
    assert not watch.refilling
    await watch.step()
    assert await reasons(shop, user_id="ann") == ["vectors_refilling"]
    answer = await shop.http.post("/v1/search", json={"text": "wine"})
    assert answer.json()["degraded_reasons"] == ["vectors_refilling"]
    assert (await shop.http.get("/readyz")).json()["parts"]["vectors"] == "refilling"
    shop.index.available = False
    await watch.step()
    assert watch.refilling, "an index that is away says nothing of its rows"
    shop.index.available = True
    shop.index._vectors[CONTENT_TEXT] = held
    deadline = time.monotonic() + 10
    while watch.refilling:  # the breaker refuses calls for a second
        assert time.monotonic() < deadline
        await watch.step()
        await asyncio.sleep(0.05)


async def test_the_model_searches_its_own_matrix_while_the_index_lacks_vectors_of_it(shop: Shop) -> None:
    model = next(source for source in shop.parts.sources if source.name is Source.MODEL)
    query = Query(History((ItemId("wine"),), (EventKind.CLICK,), (0,)), None, (), None, 10, 0)
    held = shop.index._vectors[MODEL_ITEMS]
    shop.index._vectors[MODEL_ITEMS] = {ItemId("soap"): held[ItemId("soap")]}
    for _ in range(2):
        await shop.parts.vector_watch.step()
    found = await model.find(query)
    assert {candidate.item_id for candidate in found.candidates} == set(VECTORS)
    assert found.missing == frozenset(), "its matrix is whole, so nothing is missing"
    shop.index._vectors[MODEL_ITEMS] = held
    await shop.parts.vector_watch.step()
    assert not shop.parts.vector_watch.lacks_model


async def test_items_that_left_the_catalogue_and_new_ones_are_not_missed_in_the_index(shop: Shop) -> None:
    for name in ("wine", "beer", "bread"):
        shop.delete(name)
        shop.index.delete(MODEL_ITEMS, [ItemId(name)])
        shop.index.delete(CONTENT_TEXT, [ItemId(name)])
    for n in range(3):
        shop.put(f"new-{n}")
        shop.content(f"new-{n}", unit(1, n))
    shop.settle()
    for _ in range(3):
        await shop.parts.vector_watch.step()
    assert not shop.parts.vector_watch.lacks_model
    assert not shop.parts.vector_watch.refilling


async def test_neighbours_found_in_an_index_that_lacks_vectors_are_not_kept(shop: Shop) -> None:
    content = next(source for source in shop.parts.sources if source.name is Source.CONTENT)
    query = Query(History((), (), ()), None, (ItemId("wine"),), None, 10, 0)
    held = dict(shop.index._vectors)
    shop.index._vectors = {name: {} for name in held}
    assert (await content.find(query)).candidates == []
    shop.index._vectors = {name: {ItemId("wine"): rows[ItemId("wine")]} for name, rows in held.items()}
    for _ in range(2):
        await shop.parts.vector_watch.step()
    assert (await content.find(query)).candidates == []
    shop.index._vectors = held
    await shop.parts.vector_watch.step()
    assert {candidate.item_id for candidate in (await content.find(query)).candidates} == set(VECTORS) - {"wine"}
    shop.index._vectors = {name: {} for name in held}
    assert len((await content.find(query)).candidates) == len(VECTORS) - 1, "what was found while it was whole is kept"


async def test_stores_are_watched_as_long_as_the_replica_runs(marked: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for watch in marked.parts.watching:
        monkeypatch.setattr(watch, "_every_s", 0.01)
    marked.features.lose_everything()
    marked.index.lose_everything()
    app = marked.http._transport.app  # type: ignore[attr-defined]
    async with app.router.lifespan_context(app):
        deadline = time.monotonic() + 10
        while not (marked.parts.refill.users and marked.parts.vector_watch.refilling):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
    for _ in range(200):
        await asyncio.sleep(0.01)
        if not any(watch.running for watch in marked.parts.watching):
            return
    raise AssertionError("found the stores still watched two seconds after the replica's end")


async def test_a_round_that_fails_ends_nothing() -> None:
    rounds = iter([RuntimeError("out of order"), None, None])
    made = asyncio.Event()

    async def step() -> None:
        outcome = next(rounds, None)
        if outcome is not None:
            raise outcome
        made.set()

    repeated = Repeated("trial", step, 0.001)
    repeated.start()
    await asyncio.wait_for(made.wait(), 5)
    repeated.stop()
