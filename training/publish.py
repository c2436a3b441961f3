"""Publication of a model version: the one way by which weights reach the shop, for batch training and learner alike.

Protocol:
1. The version's directory is written atomically (weights, item matrix, manifest).
2. The item vectors that changed are upserted into the vector index, those of items that are gone deleted.
3. The version is announced on `model-versions`.

A crash after 1 leaves a directory that nobody serves; after 2, an index a step ahead of the served version, whose own
ranking is exact since its directory has the whole item matrix. Repeating from 1 under a new name mends both.
"""

from collections.abc import KeysView, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from safetensors import SafetensorError

from contracts.clock import Clock, utc_now
from contracts.errors import CheckpointNotSaved
from contracts.ids import ItemId
from contracts.ports import EventLog, VectorIndex, Vectors
from contracts.topics import MODEL_VERSIONS
from contracts.vector_collections import MODEL_ITEMS
from contracts.versions import PublishedVersion
from contracts.wire import encode
from feature_repo.model_store import ModelStore
from training.model import checkpoint
from training.model.checkpoint import Checkpoint

MODEL_NAME = "fusion"
"""Key of the announcements: the log keeps the newest version for ever."""

ANNOUNCE_TIMEOUT_S = 10.0
UPSERT_ROWS = 1000

MOVED = 0.1
"""A vector is upserted once it is this far (Euclidean, of unit vectors: a cosine of .995) from what the index holds.

Candidates may be that imprecise, the ranking of the served version is exact; a small step moves every vector a little,
and writing them all each time costs the index more than its searches.
"""


@dataclass(frozen=True)
class Shelves:
    """Where versions go: the model store, the vector index and the log."""

    store: ModelStore
    index: VectorIndex
    log: EventLog


class IndexedVectors:
    """What the vector index holds of the item vectors, so that only those that moved are written.

    Args:
        vectors: What is there already, by item; empty to write everything.
    """

    def __init__(self, vectors: dict[ItemId, Vectors] | None = None) -> None:
        self._held: dict[ItemId, Vectors] = dict(vectors or {})

    def items(self) -> KeysView[ItemId]:
        """Items whose vectors are there."""
        return self._held.keys()

    def moved(self, item_ids: Sequence[ItemId], matrix: Vectors) -> dict[ItemId, Vectors]:
        """The vectors (N, D) that are new or further than `MOVED` from what is held."""
        if not len(item_ids):
            return {}
        missing = np.full(matrix.shape[1], np.inf, dtype=np.float32)
        held = np.stack([self._held.get(item_id, missing) for item_id in item_ids])  # (N, D)
        far = np.linalg.norm(matrix - held, axis=1) > MOVED
        return {item_ids[place]: matrix[place] for place in np.flatnonzero(far).tolist()}

    def wrote(self, vectors: dict[ItemId, Vectors]) -> None:
        """Remembers what was upserted."""
        self._held.update(vectors)

    def gone(self, item_ids: Sequence[ItemId]) -> None:
        """Remembers what was deleted."""
        for item_id in item_ids:
            self._held.pop(item_id, None)


def publish(
    version: PublishedVersion,
    model: Checkpoint,
    shelves: Shelves,
    indexed: IndexedVectors,
    deleted: frozenset[ItemId] = frozenset(),
    clock: Clock = utc_now,
) -> datetime:
    """Publishes a version by the protocol of this module.

    Args:
        version: The manifest.
        model: What its directory holds.
        shelves: Where it goes.
        indexed: What the vector index holds; brought up to date.
        deleted: Items that left the catalogue: they stay in the vocabulary but not in the index.
        clock: Now.

    Returns:
        When it was announced: serving may have it before the announcement is acknowledged.

    Raises:
        CheckpointNotSaved: step 1 failed: the disk is full or away; nothing was announced.
        VectorsUnavailable: step 2 failed; nothing was announced.
        LogUnavailable: step 3 was not acknowledged.
    """
    try:
        shelves.store.write(version, lambda path: checkpoint.save(path, model))  # 1
    except (OSError, SafetensorError) as error:
        raise CheckpointNotSaved(
            f"found no way to write the version {version.version} ({error}); expected room on the disk of the models; "
            "the version before it is whole"
        ) from error
    shelves.index.ensure(MODEL_ITEMS, model.model.config.width)
    changed = indexed.moved(model.vocabulary.ids, model.item_matrix)
    upsert(shelves.index, indexed, {item: vector for item, vector in changed.items() if item not in deleted})  # 2
    announced_at = clock()
    shelves.log.publish(MODEL_VERSIONS, MODEL_NAME, encode(version)).result(ANNOUNCE_TIMEOUT_S)  # 3
    return announced_at


def upsert(index: VectorIndex, indexed: IndexedVectors, vectors: dict[ItemId, Vectors]) -> None:
    """Writes item vectors in batches and remembers them. Raises VectorsUnavailable."""
    items = list(vectors.items())
    for start in range(0, len(items), UPSERT_ROWS):
        part = dict(items[start : start + UPSERT_ROWS])
        index.upsert(MODEL_ITEMS, part)
        indexed.wrote(part)
