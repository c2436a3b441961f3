"""A replica that starts: until it has read the catalogue it says so, and nothing is judged by the half it knows."""

import asyncio
import threading
from pathlib import Path

import pytest

from contracts.ports import LoggedMessage, Tail
from contracts.settings import Settings
from contracts.topics import HEARTBEATS, ITEM_FEATURES, ITEM_VECTORS, ITEMS, MODEL_VERSIONS, TRACES
from eventlog.memory import MemoryTail
from eventlog.tail import KafkaTail
from services.gateway import api
from services.gateway.feed import FED_BY, NEWEST_OF
from services.gateway.wiring import real_adapters
from tests.services.doubles import FakeModel, Shop, names, unit, version
from tests.services.test_bad_input import problem_of

NEEDS_THE_CATALOGUE = [
    ("POST", "/v1/recommendations", {"user_id": "ann"}),
    ("POST", "/v1/search", {"text": "wine"}),
    ("GET", "/v1/items", None),
    ("GET", "/v1/items/wine", None),
    ("PUT", "/v1/items/wine", {"title": "Wine"}),
    ("DELETE", "/v1/items/wine", None),
]


class FewAtATime:
    """A tail that gives `few` messages a poll, and none before `opened` is set."""

    def __init__(self, tail: Tail, few: int):
        self.opened = threading.Event()
        self._tail, self._few, self._waiting = tail, few, list[LoggedMessage]()

    def poll(self, timeout_s: float) -> list[LoggedMessage]:
        if not self.opened.is_set():
            self.opened.wait(min(timeout_s, 0.01))
            return []
        self._waiting += self._tail.poll(timeout_s)
        given, self._waiting = self._waiting[: self._few], self._waiting[self._few :]
        return given

    def caught_up(self) -> bool:
        return self.opened.is_set() and self._tail.caught_up() and not self._waiting

    def close(self) -> None:
        self._tail.close()


def restarted(old: Shop, few: int = 1_000_000) -> tuple[Shop, FewAtATime]:
    """Another replica over the same log and stores, which has read nothing yet."""
    new = Shop()
    new.log, new.models = old.log, old.models
    tail = FewAtATime(MemoryTail(old.log, FED_BY, newest_of=NEWEST_OF), few)
    new.parts.tail._tail = tail
    return new, tail


@pytest.fixture
def old(shop: Shop) -> Shop:
    """A shop that took wine out and has sold all its beer."""
    shop.delete("wine")
    shop.put("beer", in_stock=False)
    shop.settle()
    return shop


@pytest.mark.parametrize(("method", "path", "body"), NEEDS_THE_CATALOGUE)
async def test_a_route_that_needs_the_catalogue_says_to_come_back_while_it_is_read(
    old: Shop, method: str, path: str, body: dict | None
) -> None:
    new, tail = restarted(old, few=5)
    tail.opened.set()
    new.parts.tail.step(0)
    before = len(old.log.messages(ITEMS))
    answer = await new.http.request(method, path, json=body)
    detail = problem_of(answer, 503, "starting")["detail"]
    assert answer.headers["retry-after"] == "1"
    assert "5 messages so far" in detail
    assert len(old.log.messages(ITEMS)) == before
    new.close()


async def test_it_shows_nothing_that_was_deleted_or_sold_out_from_its_first_answer_on(old: Shop) -> None:
    expected = names(await old.recommend(user_id="ann"))
    new, tail = restarted(old, few=1)
    tail.opened.set()
    answers = []
    while not answers or answers[-1].status_code != 200:
        new.parts.tail.step(0)
        answers.append(await new.http.post("/v1/recommendations", json={"user_id": "ann"}))
    assert len(answers) > 5
    assert {answer.status_code for answer in answers[:-1]} == {503}
    assert set(names(answers[-1].json())) == set(expected) == {"bread", "butter", "soap"}
    new.close()


async def test_events_users_and_health_are_answered_while_the_catalogue_is_read(old: Shop) -> None:
    old.user("ann", "bread")
    new, _ = restarted(old)
    new.features = old.features
    click = {"kind": "click", "user_id": "ann", "item_id": "bread"}
    assert (await new.http.post("/v1/events", json=click)).status_code == 202
    assert (await new.http.get("/healthz")).status_code == 200
    assert (await new.http.get("/metrics")).status_code == 200
    waiting = await new.http.get("/readyz")
    assert (waiting.status_code, waiting.json()["parts"]["log"]) == (503, "reading")
    new.close()


async def test_serve_is_given_the_replica_only_once_the_catalogue_and_the_model_are_in_memory(old: Shop) -> None:
    new, tail = restarted(old, few=3)
    app = new.http._transport.app  # type: ignore[attr-defined]
    lifespan = app.router.lifespan_context(app)
    starting = asyncio.create_task(lifespan.__aenter__())
    await asyncio.sleep(0.3)
    assert not starting.done()
    tail.opened.set()
    await asyncio.wait_for(starting, 10)
    answer = await new.recommend(user_id="ann")
    assert set(names(answer)) == {"bread", "butter", "soap"}
    assert answer["model_version"] == "m1"
    await lifespan.__aexit__(None, None, None)


async def test_a_replica_that_cannot_read_the_log_is_there_after_a_while_and_refuses(
    old: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "LONE_START_WAIT_S", 0.1)
    new, _ = restarted(old)
    app = new.http._transport.app  # type: ignore[attr-defined]
    async with app.router.lifespan_context(app):
        problem_of(await new.http.post("/v1/recommendations", json={}), 503, "starting")


async def test_a_day_of_traces_and_heartbeats_is_neither_read_nor_waited_for(old: Shop) -> None:
    for n in range(3_000):
        old.log.publish(TRACES, f"evt-{n}", b"{}")
        old.log.publish(HEARTBEATS, "streams", b"{}")
    tail = MemoryTail(old.log, FED_BY, newest_of=NEWEST_OF)
    assert len(old.log.messages(TRACES)) == 3_000
    read = [message.topic for message in tail.poll(0)]
    assert read.count(TRACES.name) == read.count(HEARTBEATS.name) == 2_000


def test_a_real_replica_reads_of_traces_and_heartbeats_the_newest_alone(tmp_path: Path) -> None:
    tail = real_adapters(Settings(state_dir=tmp_path), embedding=None).tail
    assert isinstance(tail, KafkaTail)
    assert tail._newest_of == {TRACES.name, HEARTBEATS.name}
    assert set(FED_BY) >= {ITEMS, ITEM_FEATURES, ITEM_VECTORS, MODEL_VERSIONS}


async def test_a_deletion_of_an_item_that_another_replica_has_just_taken_is_not_lost(empty_shop: Shop) -> None:
    empty_shop.put("tea")  # in the log; this replica has not read it yet
    problem_of(await empty_shop.http.delete("/v1/items/tea"), 404, "not_found")
    empty_shop.settle()
    assert (await empty_shop.http.get("/v1/items/tea")).status_code == 404


async def test_the_newest_version_is_waited_for_and_one_that_cannot_be_loaded_is_not(old: Shop) -> None:
    loader = old.parts.loader
    assert loader.settled
    loader.announce(version("m2"))
    assert not loader.settled
    loader._stopped.set()  # no waiting between the attempts
    for _ in range(3):
        loader.step()
    assert loader.settled
    old.models["m3"] = FakeModel(version("m3"), {"bread": unit(1)})
    loader.announce(version("m3"))
    loader.step()
    assert loader.settled
