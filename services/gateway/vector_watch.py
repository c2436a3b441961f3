"""Watching the vector index: fewer vectors than there should be means that it lost some.

Content vectors: the streams write the index before the topic that fills this replica's memory, so the index never holds
fewer. Vectors of the model: the learner writes only those that have moved, so a loss lasts until a batch training; the
replica then searches its own matrix.
"""

import logging

from contracts.errors import NoModel, Unavailable
from contracts.ports import VectorIndex
from contracts.vector_collections import CONTENT_TEXT, MODEL_ITEMS, model_items
from services.bounded import Bounded
from services.ranking.slot import ModelSlot
from services.retrieval.catalogue_view import CatalogueView

log = logging.getLogger(__name__)

EVERY_S = 5.0
COUNT_TIMEOUT_S = 2.0
WHOLE_SHARE = 0.95
LOW_COUNTS = 2
"""A count may be seconds old, so one low count is no loss."""


class VectorWatch:
    """Whether vectors are missing from the index.

    Args:
        index: The vector index.
        calls: The threads and the breaker that it is called behind.
        view: The catalogue in memory: whose content vectors should be in the index.
        slot: The model served: what else should be.
    """

    def __init__(self, index: VectorIndex, calls: Bounded, view: CatalogueView, slot: ModelSlot):
        self._index = index
        self._calls = calls
        self._view = view
        self._slot = slot
        self._low = {CONTENT_TEXT: 0, MODEL_ITEMS: 0}

    @property
    def refilling(self) -> bool:
        """Whether content vectors are missing."""
        return self._low[CONTENT_TEXT] >= LOW_COUNTS

    @property
    def lacks_model(self) -> bool:
        """Whether vectors of the model are missing."""
        return self._low[MODEL_ITEMS] >= LOW_COUNTS

    async def step(self) -> None:
        """Counts once. An index that is away says nothing: what was known last stays."""
        for kind, collection, expected in (
            (CONTENT_TEXT, CONTENT_TEXT, self._content),
            (MODEL_ITEMS, self._of_the_line(), self._model_items),
        ):
            try:
                found, wanted = await self._calls.call(
                    COUNT_TIMEOUT_S, lambda name, count: (self._index.count(name), count()), collection, expected
                )
            except Unavailable:
                return
            self._judge(kind, found, wanted)

    def _judge(self, collection: str, found: int, expected: int) -> None:
        was = self._low[collection]
        self._low[collection] = was + 1 if found < WHOLE_SHARE * expected else 0
        if self._low[collection] == LOW_COUNTS:
            log.warning("the vector index lacks vectors of %s: it has %d of %d", collection, found, expected)
        elif was >= LOW_COUNTS and not self._low[collection]:
            log.warning("the vector index has all %d vectors of %s again", found, collection)

    def _of_the_line(self) -> str:
        """The collection of the served version's line."""
        try:
            return model_items(self._slot.current().version.line)
        except NoModel:
            return MODEL_ITEMS

    def _content(self) -> int:
        return self._view.content_count()

    def _model_items(self) -> int:
        """Items of the version that are still in the catalogue, but those that came after it was published."""
        try:
            loaded = self._slot.current()
        except NoModel:
            return 0
        return sum(self._view.item(item_id) is not None for item_id in loaded.item_ids if item_id not in loaded.fresh)
