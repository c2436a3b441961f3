"""An index that lost its content vectors is refilled from the log; in memory, on Milvus Lite and on a Milvus."""

import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pymilvus import MilvusClient

from contracts.errors import VectorsUnavailable
from contracts.ids import ItemId
from contracts.ports import VectorIndex, Vectors
from contracts.rows import ItemVectors
from contracts.topics import ITEM_VECTORS
from contracts.vector_collections import CONTENT_PICTURE, CONTENT_TEXT
from contracts.vectors import vector_to_base64
from contracts.wire import encode
from eventlog.memory import MemoryLog, MemoryTail
from feature_repo.memory import MemoryVectorIndex
from feature_repo.vector_index import MilvusIndex
from streams import vector_keeper
from streams.vector_keeper import SETTLE_S, VectorKeeper
from tests.builders import servers
from tests.streams.shop import NOON

ENCODERS = ("words", "pixels")
EVERY_S = 10.0
ITEMS = 300
PICTURED = 100


def direction(number: int) -> Vectors:
    return np.array([np.cos(number), np.sin(number)], np.float32)


class Catalogue:
    """An index and a log as the catalogue agent leaves them, and a keeper whose clock a test moves."""

    def __init__(self, index: VectorIndex) -> None:
        self.index, self.log, self.now_s = index, MemoryLog(), 0.0
        self.keeper = self.another_keeper()

    def another_keeper(self) -> VectorKeeper:
        return VectorKeeper(
            self.index, lambda: MemoryTail(self.log, [ITEM_VECTORS]), ENCODERS, EVERY_S, lambda: self.now_s
        )

    def put(self, number: int, at: int | None = None, encoders: tuple[str, str] = ENCODERS) -> None:
        """As the agent does: the index first, then the topic."""
        vector = direction(number if at is None else at)
        self.index_alone(number, vector)
        self.log_alone(number, vector, encoders)

    def index_alone(self, number: int, vector: Vectors) -> None:
        self.index.ensure(CONTENT_TEXT, 2)
        self.index.upsert(CONTENT_TEXT, {name(number): vector})
        if number < PICTURED:
            self.index.ensure(CONTENT_PICTURE, 2)
            self.index.upsert(CONTENT_PICTURE, {name(number): vector})

    def log_alone(self, number: int, vector: Vectors, encoders: tuple[str, str] = ENCODERS) -> None:
        text = vector_to_base64(vector)
        row = ItemVectors(
            item_id=name(number), at=NOON, text=text, picture=text if number < PICTURED else None,
            text_encoder=encoders[0], picture_encoder=encoders[1],
        )  # fmt: skip
        self.log.publish(ITEM_VECTORS, name(number), encode(row))

    def delete(self, number: int) -> None:
        for collection in (CONTENT_TEXT, CONTENT_PICTURE):
            self.index.delete(collection, [name(number)])
        self.log.publish(ITEM_VECTORS, name(number), None)

    def fill(self) -> None:
        """As `put` for all items, in one write."""
        vectors = {name(number): direction(number) for number in range(ITEMS)}
        for collection, wanted in ((CONTENT_TEXT, ITEMS), (CONTENT_PICTURE, PICTURED)):
            self.index.ensure(collection, 2)
            self.index.upsert(collection, dict(list(vectors.items())[:wanted]))
        for number in range(ITEMS):
            self.log_alone(number, direction(number))

    def checks(self, times: int) -> None:
        for _ in range(times):
            self.now_s += EVERY_S
            self.keeper.step(0)

    def counts(self) -> tuple[int, int]:
        return self.index.count(CONTENT_TEXT), self.index.count(CONTENT_PICTURE)

    def await_counts(self, *expected: int) -> None:
        """A real Milvus counts what it took within seconds."""
        deadline = time.monotonic() + 30
        while self.counts() != expected:
            assert time.monotonic() < deadline, f"{self.counts()} instead of {expected}"
            time.sleep(0.2)


def name(number: int) -> ItemId:
    return ItemId(f"item-{number}")


@pytest.fixture
def shop() -> Catalogue:
    shop = Catalogue(MemoryVectorIndex())
    shop.fill()
    shop.checks(2)
    return shop


def assert_refilled_after(lose: Callable[[], None], shop: Catalogue) -> None:
    shop.fill()
    shop.await_counts(ITEMS, PICTURED)
    shop.checks(3)
    assert not shop.keeper.refilling
    lose()
    shop.await_counts(0, 0)
    shop.checks(2)
    assert shop.keeper.refilling
    shop.checks(1)
    assert not shop.keeper.refilling
    shop.await_counts(ITEMS, PICTURED)
    found = shop.index.search(CONTENT_TEXT, direction(7), 1)[0]
    assert found.item_id in {name(7), name(7 + 44)}, "44 is seven turns, nearly"
    shop.checks(3)
    assert not shop.keeper.refilling


def test_an_index_that_lost_everything_is_whole_again() -> None:
    index = MemoryVectorIndex()
    assert_refilled_after(index.lose_everything, Catalogue(index))


def assert_whole_after_a_restart_without_its_disk(server: servers.Server, directory: Path, index: MilvusIndex) -> None:
    def restart_empty() -> None:
        server.kill()
        shutil.rmtree(directory)
        server.start()
        time.sleep(1.1)  # the client tries again a second after a failure

    assert_refilled_after(restart_empty, Catalogue(index))
    index.close()


def test_a_milvus_lite_that_is_killed_and_started_without_its_disk_is_whole_again(tmp_path: Path) -> None:
    with servers.running(servers.milvus_lite(tmp_path / "vectors")) as server:
        assert_whole_after_a_restart_without_its_disk(server, tmp_path / "vectors", MilvusIndex(server.address))


def test_a_milvus_that_is_killed_and_started_without_its_disk_is_whole_again(
    real_milvus: servers.Server, milvus_directory: Path
) -> None:
    index = MilvusIndex(real_milvus.address, timeout_s=10.0)
    assert_whole_after_a_restart_without_its_disk(real_milvus, milvus_directory, index)


def test_a_milvus_whose_collections_were_dropped_is_whole_again(
    real_milvus: servers.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {kind: f"{kind}_{secrets.token_hex(4)}" for kind in (CONTENT_TEXT, CONTENT_PICTURE)}
    for module in (vector_keeper.__name__, __name__):
        monkeypatch.setattr(f"{module}.CONTENT_TEXT", own[CONTENT_TEXT])
        monkeypatch.setattr(f"{module}.CONTENT_PICTURE", own[CONTENT_PICTURE])
    index, client = MilvusIndex(real_milvus.address, timeout_s=10.0), MilvusClient(uri=real_milvus.address)
    assert_refilled_after(lambda: [client.drop_collection(each) for each in own.values()], Catalogue(index))
    index.close()


def test_one_low_count_and_a_few_missing_items_are_no_loss(shop: Catalogue) -> None:
    kept = shop.index._vectors[CONTENT_TEXT]
    shop.index._vectors[CONTENT_TEXT] = {}
    shop.checks(1)
    shop.index._vectors[CONTENT_TEXT] = dict(list(kept.items())[:290])
    shop.checks(3)
    assert not shop.keeper.refilling
    assert shop.counts() == (290, PICTURED)


def test_pictures_lost_alone_are_noticed_too(shop: Catalogue) -> None:
    shop.index._vectors[CONTENT_PICTURE] = {}
    shop.checks(2)
    assert shop.keeper.refilling
    shop.checks(1)
    assert shop.counts() == (ITEMS, PICTURED)


def test_what_was_deleted_from_the_catalogue_stays_away(shop: Catalogue) -> None:
    for number in range(50):
        shop.delete(number)
    shop.checks(1)
    shop.index.lose_everything()
    shop.checks(3)
    assert shop.counts() == (ITEMS - 50, PICTURED - 50)


def test_a_vector_that_the_agent_writes_during_the_refill_is_not_left_old(shop: Catalogue) -> None:
    shop.index.lose_everything()
    shop.checks(2)
    shop.index_alone(7, direction(99))  # the agent's newer vector; its row is not on the topic yet
    shop.checks(1)
    assert not shop.keeper.refilling
    shop.log_alone(7, direction(99))
    shop.keeper.step(0)
    assert np.allclose(shop.index._vectors[CONTENT_TEXT][name(7)], direction(99), atol=1e-3)


def test_it_leaves_the_index_to_the_agent_once_a_refill_has_settled(shop: Catalogue) -> None:
    shop.index.lose_everything()
    shop.checks(3)
    shop.now_s += SETTLE_S
    shop.log_alone(7, direction(99))
    shop.keeper.step(0)
    assert np.allclose(shop.index._vectors[CONTENT_TEXT][name(7)], direction(7), atol=1e-3)


def test_an_index_that_is_away_during_the_refill_is_refilled_when_it_returns(shop: Catalogue) -> None:
    shop.index.lose_everything()
    shop.checks(2)
    shop.index.available = False
    for _ in range(2):
        with pytest.raises(VectorsUnavailable):
            shop.keeper.step(0)
    shop.index.available = True
    shop.checks(1)
    assert shop.counts() == (ITEMS, PICTURED)


def test_rows_of_another_encoder_and_unreadable_ones_are_passed_over(shop: Catalogue) -> None:
    for number in range(ITEMS, 2 * ITEMS):
        shop.log_alone(number, np.ones(3, np.float32), ("other", "pixels"))
    shop.log.publish(ITEM_VECTORS, "broken", b"no json")
    shop.log.publish(ITEM_VECTORS, "torn", encode(ItemVectors(
        item_id=ItemId("torn"), at=NOON, text="A", picture=None, text_encoder="words", picture_encoder="pixels",
    )))  # fmt: skip
    shop.checks(3)
    assert not shop.keeper.refilling
    shop.index.lose_everything()
    shop.checks(3)
    assert shop.counts() == (ITEMS, PICTURED)


def test_an_empty_catalogue_needs_no_collections() -> None:
    shop = Catalogue(MemoryVectorIndex())
    shop.checks(3)
    assert not shop.keeper.refilling


def test_the_thread_refills_by_itself_and_ends_when_it_is_stopped(shop: Catalogue) -> None:
    keeper = VectorKeeper(shop.index, lambda: MemoryTail(shop.log, [ITEM_VECTORS]), ENCODERS, 0.01)
    shop.index.lose_everything()
    keeper.start()
    shop.await_counts(ITEMS, PICTURED)
    keeper.stop()
    assert not keeper._thread.is_alive()
