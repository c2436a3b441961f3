"""Candidates whose text or picture is like that of the nearest items of the context.

An item's neighbours change only with the catalogue, so they are kept for ten minutes, and a request searches for the
nearest item of its context only; the next ones join where they are kept. So the shop's whole catalogue costs a few
searches a second, however many requests there are. Neighbours found in an index that lacks vectors are not kept.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from contracts.errors import VectorsUnavailable
from contracts.ids import ItemId
from contracts.ports import VectorHit, VectorIndex
from contracts.requests import Degradation, Source
from contracts.vector_collections import CONTENT_PICTURE, CONTENT_TEXT
from services.bounded import Bounded
from services.retrieval.candidates import Candidate, Found, Query
from services.retrieval.catalogue_view import CatalogueView
from services.retrieval.merge import RANK_OFFSET

ANCHORS = 3
NEIGHBOURS = 50
KEEP_S = 600.0
KEEP_ITEMS = 20_000

Neighbours = tuple[ItemId, ...]
"""The nearest items of one search, best first. Only their ranks count, and of ids there is one copy in the catalogue:
scores and ids as they come from the index would take twenty times the room.
"""


class ContentSource:
    """Fuses the neighbours of the context's first items by reciprocal rank, text and picture alike.

    Args:
        view: The catalogue, for the items' own vectors.
        index: The vector index.
        vectors: The threads and the breaker that the index is called behind.
        timeout_s: Deadline of one search.
        whole: Whether the index holds the whole catalogue, as far as is known.
        monotonic_s: Seconds, never going back.
    """

    name = Source.CONTENT

    def __init__(
        self,
        view: CatalogueView,
        index: VectorIndex,
        vectors: Bounded,
        timeout_s: float,
        whole: Callable[[], bool] = lambda: True,
        monotonic_s: Callable[[], float] = time.monotonic,
    ):
        self._view = view
        self._index = index
        self._vectors = vectors
        self._timeout_s = timeout_s
        self._whole = whole
        self._monotonic_s = monotonic_s
        self._kept: OrderedDict[ItemId, tuple[float, list[Neighbours]]] = OrderedDict()

    async def find(self, query: Query) -> Found:
        """Best first; nothing for a context without content vectors."""
        anchors = [item_id for item_id in query.context if self._view.content(item_id) is not None][:ANCHORS]
        found = [self._still_kept(anchor) for anchor in anchors]
        missing: frozenset[Degradation] = frozenset()
        if found and found[0] is None:
            try:
                found[0] = await self._searched(anchors[0])
            except VectorsUnavailable:
                missing = frozenset({Degradation.VECTORS})
        scores: dict[ItemId, float] = {}
        for depth, lists in enumerate(found, start=1):
            for neighbours in lists or ():
                for rank, item_id in enumerate(neighbours, start=1):
                    scores[item_id] = scores.get(item_id, 0.0) + 1 / depth / (RANK_OFFSET + rank)
        best = sorted(scores.keys() - set(anchors), key=lambda item_id: (-scores[item_id], item_id))[: query.limit]
        return Found([Candidate(item_id, scores[item_id]) for item_id in best], missing)

    def _still_kept(self, anchor: ItemId) -> list[Neighbours] | None:
        kept = self._kept.get(anchor)
        return kept[1] if kept is not None and self._monotonic_s() - kept[0] < KEEP_S else None

    async def _searched(self, anchor: ItemId) -> list[Neighbours]:
        content = self._view.content(anchor)
        if content is None:
            return []
        searches = [
            self._vectors.call(self._timeout_s, self._index.search, collection, vector, NEIGHBOURS)
            for collection, vector in ((CONTENT_TEXT, content.text), (CONTENT_PICTURE, content.picture))
            if vector is not None
        ]
        lists = [self._neighbours(hits) for hits in await asyncio.gather(*searches)]
        # An index that has the anchor finds it; one that lost it may have lost its neighbours.
        if not self._whole() or any(anchor not in neighbours for neighbours in lists):
            return lists
        self._kept[anchor] = (self._monotonic_s(), lists)
        while len(self._kept) > KEEP_ITEMS:
            self._kept.popitem(last=False)
        return lists

    def _neighbours(self, hits: Sequence[VectorHit]) -> Neighbours:
        items = (self._view.item(hit.item_id) for hit in hits)
        return tuple(item.item_id for item in items if item is not None)
