"""What the vector index holds of the learner's line is kept as the catalogue and the model have it.

The learner comes first and the index, which may be away, after it: what it lacks is tried again at each turn. An index
that has lost vectors (a disk that was replaced) is noticed by its count, counted, and given all of them again. Other
lines' collections are dropped once their batch version is no longer in the store.
"""

import logging
from datetime import datetime, timedelta

from contracts.clock import Clock
from contracts.errors import BadInput
from contracts.vector_collections import MODEL_ITEMS, model_items
from training.incremental.catalogue import Catalogue
from training.incremental.line import Line
from training.incremental.metrics import LearnerMetrics
from training.publish import Shelves, upsert

log = logging.getLogger(__name__)

COUNTED_EVERY = timedelta(seconds=10)
VECTORS_LOST = "vectors_lost"
LOST_AFTER = 2
"""Counts in a row below what was written: an index shows a write a moment later."""


class Upkeep:
    """Follows the catalogue with the index.

    Args:
        shelves: The index, and the store that says which lines are still there.
        metrics: Counts items left out and vectors lost.
        clock: Now, for the time between two counts.
    """

    def __init__(self, shelves: Shelves, metrics: LearnerMetrics, clock: Clock) -> None:
        self._index = shelves.index
        self._store = shelves.store
        self._metrics = metrics
        self._clock = clock
        self._counted_at: datetime | None = None
        self._short = 0
        self._cleared: str | None = None

    def follow(self, line: Line, catalogue: Catalogue) -> None:
        """Brings learner and index up to what changed in the catalogue. Raises VectorsUnavailable."""
        self._tell_learner(line, catalogue)
        if line.to_sweep:
            gone = sorted((line.indexed.items() | line.not_indexed.keys()) - catalogue.items.keys())
            self._index.delete(line.collection, gone)
            line.indexed.gone(gone)
            for item_id in gone:
                line.not_indexed.pop(item_id, None)
            line.to_sweep = False
        self._find_lost(line)
        if line.not_indexed:
            self._index.ensure(line.collection, line.learner.model.config.width)
            upsert(self._index, line.collection, line.indexed, line.not_indexed)
            line.not_indexed = {}
        self._clear(line)

    def _tell_learner(self, line: Line, catalogue: Catalogue) -> None:
        changes = catalogue.changes()
        line.learner.retire(sorted(changes.deleted))
        line.to_sweep |= bool(changes.deleted)
        for item_id in sorted(changes.described):
            try:
                line.not_indexed |= line.learner.describe([catalogue.content(item_id)])
            except BadInput as error:
                log.error("item %s left out: %s", item_id, error)
                self._metrics.failures.labels(error.reason).inc()

    def _find_lost(self, line: Line) -> None:
        now = self._clock()
        if self._counted_at is not None and now - self._counted_at < COUNTED_EVERY:
            return
        self._counted_at = now
        found, expected = self._index.count(line.collection), len(line.indexed.items())
        self._short = self._short + 1 if found < expected else 0
        if self._short < LOST_AFTER:
            return
        self._short = 0
        log.error("found %d vectors in %s, expected %d: all are written again", found, line.collection, expected)
        self._metrics.failures.labels(VECTORS_LOST).inc()
        line.not_indexed = line.indexed.forget() | line.not_indexed

    def _clear(self, line: Line) -> None:
        """Drops what is left of lines that are gone, once a line."""
        if self._cleared == line.collection:
            return
        stay = {line.collection, *(model_items(version) for version in self._store.versions())}
        for collection in self._index.collections():
            if collection.startswith(MODEL_ITEMS) and collection not in stay:
                log.info("the collection %s is of a line that is gone: dropped", collection)
                self._index.drop(collection)
        self._cleared = line.collection
