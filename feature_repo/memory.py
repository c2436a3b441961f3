"""The ports of stored state in memory: doubles for tests, and the yardstick of the behaviour suites."""

import hashlib
import threading
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import numpy as np

from contracts.errors import FeaturesUnavailable, VectorsUnavailable
from contracts.features import ItemFeatures, UserFeatures
from contracts.ids import ItemId, PictureKey, UserId
from contracts.ports import VectorHit, Vectors
from feature_repo.pictures import verify


class MemoryFeatureStore:
    """Implements `contracts.ports.FeatureStore`. Set `available` to False to play an outage."""

    def __init__(self) -> None:
        self.available = True
        self._lock = threading.Lock()
        self._users: dict[UserId, tuple[datetime, UserFeatures]] = {}
        self._items: dict[ItemId, tuple[datetime, ItemFeatures]] = {}
        self._marks: set[str] = set()

    def read_user(self, user_id: UserId) -> UserFeatures | None:
        """The user's row; None for a user never written."""
        self._answer()
        row = self._users.get(user_id)
        return row[1] if row else None

    def read_item(self, item_id: ItemId) -> ItemFeatures | None:
        """The item's row; None for an item never written."""
        self._answer()
        row = self._items.get(item_id)
        return row[1] if row else None

    def write_users(self, rows: Mapping[UserId, tuple[datetime, UserFeatures]]) -> None:
        """Upserts rows; an older one is dropped."""
        self._answer()
        with self._lock:
            for user_id, (at, row) in rows.items():
                if user_id not in self._users or at >= self._users[user_id][0]:
                    self._users[user_id] = (at, row)

    def write_items(self, rows: Mapping[ItemId, tuple[datetime, ItemFeatures]]) -> None:
        """Upserts rows; an older one is dropped."""
        self._answer()
        with self._lock:
            for item_id, (at, row) in rows.items():
                if item_id not in self._items or at >= self._items[item_id][0]:
                    self._items[item_id] = (at, row)

    def delete_users(self, user_ids: Collection[UserId]) -> None:
        """Removes rows of users; one that is not there is no error."""
        self._answer()
        with self._lock:
            for user_id in user_ids:
                self._users.pop(user_id, None)

    def delete_items(self, item_ids: Collection[ItemId]) -> None:
        """Removes rows of items; one that is not there is no error."""
        self._answer()
        with self._lock:
            for item_id in item_ids:
                self._items.pop(item_id, None)

    def read_marks(self, names: Sequence[str]) -> frozenset[str]:
        """Those of the named marks that are there."""
        self._answer()
        with self._lock:
            return frozenset(names) & self._marks

    def write_mark(self, name: str) -> None:
        """Leaves a mark beside the rows."""
        self._answer()
        with self._lock:
            self._marks.add(name)

    def lose_everything(self) -> None:
        """Plays a restart without a disk: rows and marks are gone."""
        with self._lock:
            self._users.clear()
            self._items.clear()
            self._marks.clear()

    def _answer(self) -> None:
        if not self.available:
            raise FeaturesUnavailable("found the feature store switched off; expected it available")


class MemoryVectorIndex:
    """Implements `contracts.ports.VectorIndex` by exact search. Set `available` to False to play an outage."""

    def __init__(self) -> None:
        self.available = True
        self._lock = threading.Lock()
        self._dimensions: dict[str, int] = {}
        self._vectors: dict[str, dict[ItemId, Vectors]] = {}

    def ensure(self, collection: str, dimension: int) -> None:
        """Creates the collection; replaces it where its dimension differs."""
        self._answer()
        with self._lock:
            if self._dimensions.get(collection) != dimension:
                self._dimensions[collection] = dimension
                self._vectors[collection] = {}

    def upsert(self, collection: str, vectors: Mapping[ItemId, Vectors]) -> None:
        """Adds or replaces vectors, each of shape (D,)."""
        self._answer()
        with self._lock:
            if collection not in self._dimensions:
                raise VectorsUnavailable(f"found no collection {collection!r}; expected it ensured before an upsert")
            for vector in vectors.values():
                if vector.shape != (self._dimensions[collection],):
                    raise VectorsUnavailable(
                        f"found a vector of shape {vector.shape}; expected ({self._dimensions[collection]},)"
                    )
            self._vectors[collection] |= {item_id: vector.astype(np.float32) for item_id, vector in vectors.items()}

    def delete(self, collection: str, item_ids: Sequence[ItemId]) -> None:
        """Removes vectors; an id or a collection that is not there is no error."""
        self._answer()
        with self._lock:
            for item_id in item_ids:
                self._vectors.get(collection, {}).pop(item_id, None)

    def search(self, collection: str, query: Vectors, limit: int) -> list[VectorHit]:
        """The nearest items by inner product, best first."""
        self._answer()
        with self._lock:
            kept = dict(self._vectors.get(collection, {}))
        if not kept:
            return []
        scores = np.stack(list(kept.values())) @ query  # (N,)
        best = np.argsort(-scores, kind="stable")[:limit]
        names = list(kept)
        return [VectorHit(names[index], float(scores[index])) for index in best]

    def count(self, collection: str) -> int:
        """How many vectors the collection holds; 0 where it is not there."""
        self._answer()
        return len(self._vectors.get(collection, {}))

    def lose_everything(self) -> None:
        """Plays a restart without a disk: no collection is there."""
        with self._lock:
            self._dimensions.clear()
            self._vectors.clear()

    def collections(self) -> list[str]:
        """The names of all collections, sorted."""
        self._answer()
        return sorted(self._vectors)

    def drop(self, collection: str) -> None:
        """Removes a collection with its vectors; one that is not there is no error."""
        self._answer()
        with self._lock:
            self._vectors.pop(collection, None)
            self._dimensions.pop(collection, None)

    def _answer(self) -> None:
        if not self.available:
            raise VectorsUnavailable("found the vector index switched off; expected it available")


class MemoryPictureStore:
    """Implements `contracts.ports.PictureStore`."""

    def __init__(self, max_bytes: int = 4_000_000):
        self._max_bytes = max_bytes
        self._pictures: dict[PictureKey, bytes] = {}

    def put(self, picture: bytes) -> PictureKey:
        """Keeps the bytes. Raises BadPicture when they are no picture."""
        verify(picture, self._max_bytes)
        key = PictureKey(hashlib.sha256(picture).hexdigest())
        self._pictures[key] = picture
        return key

    def get(self, key: PictureKey) -> bytes | None:
        """The bytes; None when the key is not there."""
        return self._pictures.get(key)
