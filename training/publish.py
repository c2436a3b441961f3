"""Publication of a model version: the one way by which weights reach the shop, for batch training and learner alike.

Protocol:
1. The version's directory is written atomically (weights, item matrix, manifest).
2. The item vectors that changed are upserted into the collection of the version's line, which a batch version begins.
3. The version is announced on `model-versions`.
4. The model store notes that it was.

A crash after 1 leaves a directory that nobody serves; after 2, a collection that nobody searches or one a step ahead of
the served version, whose own ranking is exact since its directory has the whole item matrix. Repeating from 1 under a
new name mends both. After 3, whoever follows the log makes up for the note. A new line never writes over the vectors
of the line that is served.
"""

import logging
from collections.abc import KeysView, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from safetensors import SafetensorError

from contracts.clock import Clock, utc_now
from contracts.errors import CheckpointNotSaved, LogUnavailable, VectorsUnavailable
from contracts.examples import TrainingExample
from contracts.ids import ItemId
from contracts.ports import EventLog, VectorIndex, Vectors
from contracts.topics import MODEL_VERSIONS
from contracts.vector_collections import model_items
from contracts.versions import PublishedVersion
from contracts.wire import encode
from feature_repo.model_store import ModelStore
from training import remembered
from training.model import checkpoint
from training.model.checkpoint import Checkpoint

log = logging.getLogger(__name__)

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

    def forget(self) -> dict[ItemId, Vectors]:
        """Gives what was thought to be there, which is then thought to be no more."""
        held, self._held = self._held, {}
        return held

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
    kept: Sequence[TrainingExample] = (),
) -> datetime:
    """Publishes a version by the protocol of this module.

    Args:
        version: The manifest.
        model: What its directory holds.
        shelves: Where it goes.
        indexed: What the vector index holds; brought up to date.
        deleted: Items that left the catalogue: they stay in the vocabulary but not in the index.
        clock: Now.
        kept: As `write`.

    Returns:
        When it was announced: serving may have it before the announcement is acknowledged.

    Raises:
        CheckpointNotSaved: step 1 failed: the disk is full or away; nothing was announced.
        VectorsUnavailable: step 2 failed; nothing was announced.
        LogUnavailable: step 3 was not acknowledged.
    """
    write(version, model, shelves, kept)
    try:
        index(version, model, shelves, indexed, deleted)
    except VectorsUnavailable:
        shelves.store.remove(version.version)  # never announced: the next try is a version of its own
        raise
    return announce(version, shelves, clock)


def write(version: PublishedVersion, model: Checkpoint, shelves: Shelves, kept: Sequence[TrainingExample] = ()) -> None:
    """Step 1.

    Args:
        version: The manifest.
        model: What its directory holds.
        shelves: Where it goes.
        kept: Examples that a batch version leaves for the learner of its line.

    Raises:
        CheckpointNotSaved: the disk is full or away.
    """

    def save(path: Path) -> None:
        checkpoint.save(path, model)
        remembered.save(path, kept)

    try:
        shelves.store.write(version, save)
    except (OSError, SafetensorError) as error:
        raise CheckpointNotSaved(
            f"found no way to write the version {version.version} ({error}); expected room on the disk of the models; "
            "the version before it is whole"
        ) from error


def index(
    version: PublishedVersion,
    model: Checkpoint,
    shelves: Shelves,
    indexed: IndexedVectors,
    deleted: frozenset[ItemId] = frozenset(),
) -> None:
    """Step 2, in the collection of the version's line. Raises VectorsUnavailable."""
    collection = model_items(version.line)
    shelves.index.ensure(collection, model.model.config.width)
    moved = indexed.moved(model.vocabulary.ids, model.item_matrix)
    changed = {item: vector for item, vector in moved.items() if item not in deleted}
    upsert(shelves.index, collection, indexed, changed)


def announce(version: PublishedVersion, shelves: Shelves, clock: Clock = utc_now) -> datetime:
    """Steps 3 and 4; announcing a version again changes nothing.

    Returns:
        When it was announced.

    Raises:
        LogUnavailable: it was not acknowledged in time; it may be on the log all the same.
    """
    announced_at = clock()
    try:
        shelves.log.publish(MODEL_VERSIONS, MODEL_NAME, encode(version)).result(ANNOUNCE_TIMEOUT_S)  # 3
    except TimeoutError as error:
        raise LogUnavailable(
            f"found no acknowledgement of the version {version.version} within {ANNOUNCE_TIMEOUT_S} s; expected one; "
            "check that the broker runs and announce it again"
        ) from error
    try:
        shelves.store.mark_announced(version.version)  # 4
    except OSError as error:
        log.warning("version %s is announced, but the store could not note it: %s", version.version, error)
    return announced_at


def upsert(index: VectorIndex, collection: str, indexed: IndexedVectors, vectors: dict[ItemId, Vectors]) -> None:
    """Writes item vectors in batches and remembers them. Raises VectorsUnavailable."""
    items = list(vectors.items())
    for start in range(0, len(items), UPSERT_ROWS):
        part = dict(items[start : start + UPSERT_ROWS])
        index.upsert(collection, part)
        indexed.wrote(part)
