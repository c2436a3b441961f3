"""The vector indexes, and what the Milvus adapter does when its server dies."""

import os
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
from tests.suites.vector_index import VectorIndexSuite, basis, unit


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
    """A Milvus of one's own, given by its address; the collections that the tests make stay there."""

    @pytest.fixture
    def index(self) -> Iterator[VectorIndex]:
        uri = os.environ.get("MILLSTREAM_TEST_MILVUS_URI")
        if not uri:
            pytest.skip("no Milvus named by MILLSTREAM_TEST_MILVUS_URI")
        index = MilvusIndex(uri)
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


def test_an_upsert_before_ensure_tells_what_is_missing(milvus_uri: str, collection: str) -> None:
    index = MilvusIndex(milvus_uri)
    with pytest.raises(VectorsUnavailable, match="expected it ensured first"):
        index.upsert(collection, {ItemId("a"): np.ones(2, dtype=np.float32)})
    index.close()
