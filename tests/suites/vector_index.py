"""What every vector index does."""

import time
from collections.abc import Callable

import numpy as np

from contracts.ids import ItemId
from contracts.ports import VectorIndex, Vectors

VISIBLE_WITHIN_S = 5.0


def unit(*values: float) -> Vectors:
    """A float32 vector of unit length."""
    vector = np.array(values, dtype=np.float32)
    return vector / np.linalg.norm(vector)


def basis(count: int) -> dict[ItemId, Vectors]:
    """`count` orthogonal vectors, keyed i-0, i-1, ..."""
    return {ItemId(f"i-{n}"): row for n, row in enumerate(np.eye(count, dtype=np.float32))}


def eventually(condition: Callable[[], bool]) -> None:
    """Waits for what an index may show a moment later."""
    deadline = time.monotonic() + VISIBLE_WITHIN_S
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition()


class VectorIndexSuite:
    """Subclasses give the fixtures `index` and `collection`, a name that no other test uses."""

    def test_a_collection_that_is_not_there_is_empty(self, index: VectorIndex, collection: str) -> None:
        assert index.search(collection, unit(1, 0), 5) == []
        assert index.count(collection) == 0
        index.delete(collection, [ItemId("i-0")])

    def test_the_nearest_come_first_with_their_inner_products(self, index: VectorIndex, collection: str) -> None:
        index.ensure(collection, 2)
        index.upsert(collection, {ItemId("near"): unit(1, 1), ItemId("same"): unit(1, 0), ItemId("far"): unit(-1, 0)})
        eventually(lambda: index.count(collection) == 3)
        hits = index.search(collection, unit(1, 0), 3)
        assert [hit.item_id for hit in hits] == ["same", "near", "far"]
        np.testing.assert_allclose([hit.score for hit in hits], [1, 1 / np.sqrt(2), -1], atol=1e-3)

    def test_a_limit_bounds_the_answer(self, index: VectorIndex, collection: str) -> None:
        index.ensure(collection, 8)
        index.upsert(collection, basis(8))
        eventually(lambda: index.count(collection) == 8)
        assert len(index.search(collection, unit(*range(1, 9)), 3)) == 3
        assert index.search(collection, unit(*range(1, 9)), 0) == []

    def test_an_upsert_replaces_a_vector(self, index: VectorIndex, collection: str) -> None:
        index.ensure(collection, 2)
        index.upsert(collection, {ItemId("a"): unit(1, 0), ItemId("b"): unit(0, 1)})
        index.upsert(collection, {ItemId("a"): unit(-1, 0)})
        eventually(lambda: [hit.item_id for hit in index.search(collection, unit(1, 0), 1)] == ["b"])
        assert index.count(collection) == 2

    def test_a_deleted_vector_is_not_found(self, index: VectorIndex, collection: str) -> None:
        index.ensure(collection, 2)
        index.upsert(collection, {ItemId("a"): unit(1, 0), ItemId("b"): unit(0, 1)})
        index.delete(collection, [ItemId("a"), ItemId("was never there")])
        eventually(lambda: [hit.item_id for hit in index.search(collection, unit(1, 0), 5)] == ["b"])
        assert index.count(collection) == 1

    def test_ensuring_again_keeps_the_vectors(self, index: VectorIndex, collection: str) -> None:
        index.ensure(collection, 4)
        index.upsert(collection, basis(4))
        index.ensure(collection, 4)
        eventually(lambda: index.count(collection) == 4)

    def test_another_dimension_replaces_the_collection(self, index: VectorIndex, collection: str) -> None:
        index.ensure(collection, 4)
        index.upsert(collection, basis(4))
        index.ensure(collection, 2)
        eventually(lambda: index.count(collection) == 0)
        index.upsert(collection, basis(2))
        eventually(lambda: len(index.search(collection, unit(1, 0), 5)) == 2)

    def test_a_dropped_collection_is_as_if_it_had_never_been(self, index: VectorIndex, collection: str) -> None:
        index.drop(collection)
        index.ensure(collection, 4)
        index.upsert(collection, basis(4))
        eventually(lambda: collection in index.collections())
        index.drop(collection)
        eventually(lambda: collection not in index.collections())
        assert index.count(collection) == 0
        assert index.search(collection, unit(1, 0, 0, 0), 5) == []
        index.ensure(collection, 2)
        index.upsert(collection, basis(2))
        eventually(lambda: index.count(collection) == 2)

    def test_a_thousand_vectors_are_all_found_by_themselves(self, index: VectorIndex, collection: str) -> None:
        rows = np.random.default_rng(7).normal(size=(1200, 16)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        index.ensure(collection, 16)
        index.upsert(collection, {ItemId(f"i-{n}"): row for n, row in enumerate(rows)})
        eventually(lambda: index.count(collection) == 1200)
        for n in (0, 599, 1199):
            assert index.search(collection, rows[n], 1)[0].item_id == f"i-{n}"

    def test_ids_with_quotes_and_accents_come_back(self, index: VectorIndex, collection: str) -> None:
        odd = [ItemId(text) for text in ("a'b", 'a"b', "back\\slash", "ä b")]
        index.ensure(collection, 4)
        index.upsert(collection, dict(zip(odd, np.eye(4, dtype=np.float32), strict=True)))
        eventually(lambda: index.count(collection) == 4)
        assert {hit.item_id for hit in index.search(collection, unit(1, 1, 1, 1), 4)} == set(odd)
        index.delete(collection, odd[:3])
        eventually(lambda: [hit.item_id for hit in index.search(collection, unit(1, 1, 1, 1), 4)] == odd[3:])
