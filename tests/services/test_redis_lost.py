"""A real Redis, killed and flushed while the gateway answers: flagged, and whole once rows and marks are back."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis

from contracts.marks import ITEMS_MARKS, USERS_MARKS
from contracts.settings import Settings
from feature_repo.online import FeastStore
from feature_repo.store_config import apply
from tests.builders import servers
from tests.services.conftest import VECTORS
from tests.services.doubles import FakeModel, Shop, names, version

WITHIN_S = 20.0
LONGEST_S = 2.5
"""The deadline that these shops give a request, and some."""


@pytest.fixture
def server() -> Iterator[servers.Server]:
    with servers.running(servers.redis()) as server:
        yield server


@pytest.fixture
async def shop(server: servers.Server, tmp_path: Path) -> AsyncIterator[Shop]:
    """A replica that runs, on the server; Ann has clicked on bread."""
    settings = Settings(state_dir=tmp_path, redis_url=server.address, request_deadline_ms=2000)
    apply(settings)
    shop = Shop(settings, features=FeastStore(settings))
    shop.beat()
    for name, vector in VECTORS.items():
        shop.put(name)
        shop.content(name, vector)
    shop.publish_model(FakeModel(version("m1"), VECTORS))
    written_by_the_streams(shop)
    app = shop.http._transport.app  # type: ignore[attr-defined]
    async with app.router.lifespan_context(app):
        yield shop


def written_by_the_streams(shop: Shop) -> None:
    """Every row of their states, then the marks."""
    shop.user("ann", "bread")
    for name in (*USERS_MARKS, *ITEMS_MARKS):
        shop.features.write_mark(name)


async def answer(shop: Shop, user_id: str = "ann") -> tuple[list[str], str, int]:
    """Why it is degraded, what is first, and how many events it was made with."""
    started = time.monotonic()
    made = await shop.recommend(user_id=user_id, exclude=["bread"])
    assert time.monotonic() - started < LONGEST_S
    return made["degraded_reasons"], names(made)[0], made["features"]["events_in_history"]


async def becomes(shop: Shop, reasons: list[str]) -> tuple[list[str], str, int]:
    deadline = time.monotonic() + WITHIN_S
    while (made := await answer(shop))[0] != reasons:
        assert time.monotonic() < deadline, f"{made} instead of {reasons}"
        await asyncio.sleep(0.05)
    return made


WHOLE = ([], "butter", 1)


async def test_a_redis_killed_and_restarted_empty_is_away_then_refilling_then_whole(
    shop: Shop, server: servers.Server
) -> None:
    assert await answer(shop) == WHOLE
    server.kill()
    assert (await becomes(shop, ["features_unavailable"]))[2] == 0
    await asyncio.to_thread(server.start)
    assert (await becomes(shop, ["features_refilling"]))[2] == 0
    assert (await shop.http.get("/readyz")).json()["parts"]["features"] == "refilling"
    written_by_the_streams(shop)
    assert await becomes(shop, []) == WHOLE
    deadline = time.monotonic() + WITHIN_S
    while (await answer(shop, "a stranger"))[0]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    assert (await shop.http.get("/readyz")).json()["parts"]["features"] == "ok"


async def test_a_flushed_redis_is_refilling_until_rows_and_marks_are_back(shop: Shop, server: servers.Server) -> None:
    assert await answer(shop) == WHOLE
    redis.Redis.from_url(server.address).flushall()
    assert (await becomes(shop, ["features_refilling"]))[2] == 0
    shop.user("ann", "bread")
    assert await answer(shop) == WHOLE, "her row is back before the marks are"
    assert (await answer(shop, "bob"))[0] == ["features_refilling"]
    written_by_the_streams(shop)
    deadline = time.monotonic() + WITHIN_S
    while (await answer(shop, "bob"))[0]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
