"""The vector indexes, and what the Milvus adapter does when its server dies."""

import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from contracts.errors import VectorsUnavailable
from contracts.ids import ItemId
from contracts.ports import VectorIndex
from feature_repo.memory import MemoryVectorIndex
from feature_repo.vector_index import RETRY_AFTER_S, MilvusIndex
from tests.builders import servers
from tests.suites.vector_index import VectorIndexSuite, basis, eventually, unit


@pytest.fixture
def collection() -> str:
    return f"c_{secrets.token_hex(6)}"


class TestMemory(VectorIndexSuite):
    @pytest.fixture
    def index(self) -> VectorIndex:
        return MemoryVectorIndex()


class TestMilvusLite(VectorIndexSuite):
    @pytest.fixture
    def index(self, milvus_uri: str) -> Iterator[VectorIndex]:
        index = MilvusIndex(milvus_uri)
        yield index
        index.close()


class TestMilvus(VectorIndexSuite):
    @pytest.fixture
    def index(self, real_milvus: servers.Server) -> Iterator[VectorIndex]:
        index = MilvusIndex(real_milvus.address, timeout_s=10.0)
        yield index
        index.close()


def answer_after_retry(index: MilvusIndex, collection: str) -> list[str]:
    deadline = time.monotonic() + 20
    while True:
        try:
            return [str(hit.item_id) for hit in index.search(collection, unit(1, 0), 2)]
        except VectorsUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_a_killed_server_is_unavailable_at_once_and_answers_again_after_its_restart(
    tmp_path: Path, collection: str
) -> None:
    with servers.running(servers.milvus_lite(tmp_path)) as server:
        index = MilvusIndex(server.address)
        index.ensure(collection, 2)
        index.upsert(collection, basis(2))
        server.kill()
        for _ in range(3):
            started = time.monotonic()
            with pytest.raises(VectorsUnavailable, match="found"):
                index.search(collection, unit(1, 0), 2)
            assert time.monotonic() - started < 2.5
        server.start()
        assert answer_after_retry(index, collection) == ["i-0", "i-1"]
        index.close()


def test_a_killed_milvus_is_unavailable_and_has_its_vectors_after_its_restart(
    real_milvus: servers.Server, collection: str
) -> None:
    index = MilvusIndex(real_milvus.address, timeout_s=10.0)
    index.ensure(collection, 2)
    index.upsert(collection, basis(2))
    eventually(lambda: len(index.search(collection, unit(1, 0), 2)) == 2)
    real_milvus.kill()
    with pytest.raises(VectorsUnavailable, match="found"):
        index.search(collection, unit(1, 0), 2)
    real_milvus.start()
    assert_found_again(index, collection, within_s=150)
    index.close()


def assert_found_again(index: MilvusIndex, collection: str, within_s: float) -> None:
    deadline, found = time.monotonic() + within_s, 0
    while found < 2:
        assert time.monotonic() < deadline
        time.sleep(0.3)
        try:
            found = len(index.search(collection, unit(1, 0), 2))
        except VectorsUnavailable:
            continue


def test_a_frozen_server_costs_one_timeout_and_then_fails_at_once(tmp_path: Path, collection: str) -> None:
    with servers.running(servers.milvus_lite(tmp_path)) as server:
        index = MilvusIndex(server.address, timeout_s=1.0)
        index.ensure(collection, 2)
        server.freeze()
        started = time.monotonic()
        with pytest.raises(VectorsUnavailable):
            index.search(collection, unit(1, 0), 2)
        first = time.monotonic() - started
        with pytest.raises(VectorsUnavailable):
            index.search(collection, unit(1, 0), 2)
        assert time.monotonic() - started - first < 0.8 < RETRY_AFTER_S
        assert first < 3 * 1.0
        server.thaw()
        assert answer_after_retry(index, collection) == []
        index.close()


def test_a_collection_replaced_by_another_process_is_found_again(milvus_uri: str, collection: str) -> None:
    mine, theirs = MilvusIndex(milvus_uri), MilvusIndex(milvus_uri)
    mine.ensure(collection, 4)
    mine.upsert(collection, basis(4))
    theirs.ensure(collection, 2)
    theirs.upsert(collection, basis(2))
    assert [hit.item_id for hit in mine.search(collection, unit(1, 0), 1)] == ["i-0"]
    mine.close()
    theirs.close()


def test_a_query_of_a_wrong_dimension_does_not_shut_the_index(milvus_uri: str, collection: str) -> None:
    index = MilvusIndex(milvus_uri)
    index.ensure(collection, 2)
    index.upsert(collection, basis(2))
    with pytest.raises(VectorsUnavailable, match="dimension"):
        index.search(collection, unit(1, 0, 0), 1)
    assert index.count(collection) == 2
    index.close()


def test_a_milvus_that_is_away_is_told_without_its_password() -> None:
    index = MilvusIndex(f"http://root:s3cret@127.0.0.1:{servers.free_port()}", "root:t0ken", timeout_s=1.0)
    with pytest.raises(VectorsUnavailable, match=r"away|from") as away:
        index.count("c")
    assert "s3cret" not in str(away.value)
    assert "t0ken" not in str(away.value)
    index.close()


def test_an_upsert_before_ensure_tells_what_is_missing(milvus_uri: str, collection: str) -> None:
    index = MilvusIndex(milvus_uri)
    with pytest.raises(VectorsUnavailable, match="expected it ensured first"):
        index.upsert(collection, {ItemId("a"): np.ones(2, dtype=np.float32)})
    index.close()
