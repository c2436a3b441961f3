"""Ports: what a process needs from the outside, as Protocols. Each has an in-memory adapter and a real one.

One behaviour suite per port (`tests/suites/`) is run by every adapter. Vectors are numpy float32 arrays of unit length.
"""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from contracts.clock import from_ms
from contracts.features import ItemFeatures, UserFeatures
from contracts.ids import ItemId, PictureKey, UserId
from contracts.topics import Topic

Vectors = NDArray[np.float32]


class FeatureStore(Protocol):
    """The online features: one row a user, one row an item. An older row never overwrites a newer one."""

    def read_user(self, user_id: UserId) -> UserFeatures | None:
        """The user's row; None for a user never written. Raises FeaturesUnavailable."""
        ...

    def read_item(self, item_id: ItemId) -> ItemFeatures | None:
        """The item's row; None for an item never written. Raises FeaturesUnavailable."""
        ...

    def write_users(self, rows: Mapping[UserId, tuple[datetime, UserFeatures]]) -> None:
        """Upserts rows with their event times. Raises FeaturesUnavailable."""
        ...

    def write_items(self, rows: Mapping[ItemId, tuple[datetime, ItemFeatures]]) -> None:
        """Upserts rows with their event times. Raises FeaturesUnavailable."""
        ...

    def delete_users(self, user_ids: Collection[UserId]) -> None:
        """Removes rows of users; one that is not there is no error. Raises FeaturesUnavailable."""
        ...

    def delete_items(self, item_ids: Collection[ItemId]) -> None:
        """Removes rows of items; one that is not there is no error. Raises FeaturesUnavailable."""
        ...

    def read_marks(self, names: Sequence[str]) -> frozenset[str]:
        """Those of the named marks that are there. Raises FeaturesUnavailable."""
        ...

    def write_mark(self, name: str) -> None:
        """Leaves a mark beside the rows, so that it is lost when they are: "all rows of `name` have been written".

        Raises FeaturesUnavailable.
        """
        ...


@dataclass(frozen=True)
class VectorHit:
    """An item found and its inner product with the query (both of unit length, so from -1 to 1)."""

    item_id: ItemId
    score: float


class VectorIndex(Protocol):
    """Named collections of item vectors, searched by inner product."""

    def ensure(self, collection: str, dimension: int) -> None:
        """Creates the collection where it is not there; replaces it where its dimension differs."""
        ...

    def upsert(self, collection: str, vectors: Mapping[ItemId, Vectors]) -> None:
        """Adds or replaces vectors, each of shape (D,). Raises VectorsUnavailable."""
        ...

    def delete(self, collection: str, item_ids: Sequence[ItemId]) -> None:
        """Removes vectors; an id that is not there is no error. Raises VectorsUnavailable."""
        ...

    def search(self, collection: str, query: Vectors, limit: int) -> list[VectorHit]:
        """The nearest items to a query of shape (D,), best first; empty where the collection is not there.

        Raises VectorsUnavailable.
        """
        ...

    def count(self, collection: str) -> int:
        """How many vectors the collection holds; 0 where it is not there. Raises VectorsUnavailable."""
        ...

    def collections(self) -> list[str]:
        """The names of all collections, sorted. Raises VectorsUnavailable."""
        ...

    def drop(self, collection: str) -> None:
        """Removes a collection with its vectors; one that is not there is no error. Raises VectorsUnavailable."""
        ...


@dataclass(frozen=True)
class LoggedMessage:
    """A message read from the log.

    Attributes:
        logged_ms: When the broker took it, milliseconds since the epoch; None where its clock did not stamp it.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    logged_ms: int | None = None

    def judged_at(self, now: datetime) -> datetime:
        """The time by which "later than now" is judged: the same for every reader, whatever its clock says."""
        return now if self.logged_ms is None else from_ms(self.logged_ms)


class EventLog(Protocol):
    """Producing to the log: at-least-once, in order per key."""

    def publish(self, topic: Topic, key: str, value: bytes | None) -> Future[None]:
        """Hands the message to the producer and returns at once; a None value is a tombstone.

        Returns:
            A future that is done when the log has acknowledged, or that holds LogUnavailable.
        """
        ...

    def flush(self, timeout_s: float) -> None:
        """Returns once all published messages are acknowledged. Raises LogUnavailable."""
        ...


class Tail(Protocol):
    """Reading whole topics from their beginning and then following them, without a consumer group."""

    def poll(self, timeout_s: float) -> list[LoggedMessage]:
        """The next messages, maybe none. Raises LogUnavailable."""
        ...

    def caught_up(self) -> bool:
        """Whether everything that was in the topics when the tail was opened has been polled."""
        ...

    def close(self) -> None:
        """Releases the connection."""
        ...


class PictureStore(Protocol):
    """Pictures by content: the key is the SHA-256 of the bytes."""

    def put(self, picture: bytes) -> PictureKey:
        """Keeps the bytes. Raises BadPicture when they are no picture, PicturesUnavailable when there is no room."""
        ...

    def get(self, key: PictureKey) -> bytes | None:
        """The bytes; None when the key is not there. Raises PicturesUnavailable."""
        ...


@dataclass(frozen=True)
class ContentVectors:
    """Encoded content: `texts` of shape (N, Dt); `pictures` one (Dp,) each, None where a picture is unreadable."""

    texts: Vectors
    pictures: list[Vectors | None] = field(default_factory=list)


class Embedder(Protocol):
    """The encoders of text and pictures."""

    def encode(self, texts: Sequence[str], pictures: Sequence[bytes]) -> ContentVectors:
        """Vectors of unit length. Raises EmbeddingUnavailable."""
        ...
