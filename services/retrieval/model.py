"""Candidates nearest to the user's vector: personal, from the fusion model.

The vector index is searched, in the collection of the version's own line; items that came after the version was
published are searched in memory beside it. For one category, and while the index is away, lacks vectors or has lost the
collection, the version's own matrix (N, D) is searched exactly in memory.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor

from contracts.errors import NoModel, VectorsUnavailable
from contracts.ports import VectorHit, VectorIndex, Vectors
from contracts.requests import Degradation, Source
from contracts.vector_collections import model_items
from services.bounded import Bounded
from services.ranking.slot import LoadedModel, ModelSlot
from services.retrieval.candidates import Candidate, Found, Query
from services.retrieval.catalogue_view import CatalogueView


class ModelSource:
    """Searches with the user's vector.

    Args:
        slot: The model served.
        view: The catalogue, for the items of one category.
        index: The vector index.
        vectors: The threads and the breaker that the index is called behind.
        compute: Threads for the user tower.
        timeout_s: Deadline of one search.
        whole: Whether the index holds the version's items, as far as is known.
    """

    name = Source.MODEL

    def __init__(
        self,
        slot: ModelSlot,
        view: CatalogueView,
        index: VectorIndex,
        vectors: Bounded,
        compute: Executor,
        timeout_s: float,
        whole: Callable[[], bool] = lambda: True,
    ):
        self._slot = slot
        self._view = view
        self._index = index
        self._vectors = vectors
        self._compute = compute
        self._timeout_s = timeout_s
        self._whole = whole

    async def find(self, query: Query) -> Found:
        """Best first. Without a model nothing, and the answer says so."""
        try:
            loaded = self._slot.current()
        except NoModel:
            return Found([], frozenset({Degradation.MODEL}))
        loop = asyncio.get_running_loop()
        user = await loop.run_in_executor(self._compute, loaded.model.user_vector, query.history, query.now_ms)  # (D,)
        if query.category is not None:
            return _found(loaded.nearest(user, query.limit, self._view.popular(query.category)))
        if not self._whole():
            return _found(loaded.nearest(user, query.limit))
        try:
            collection = model_items(loaded.version.line)
            hits = await self._vectors.call(self._timeout_s, self._index.search, collection, user, query.limit)
        except VectorsUnavailable:
            return _found(loaded.nearest(user, query.limit), Degradation.VECTORS)
        if not hits:
            # The collection is written before the first version of its line is announced: the index has lost it.
            return _found(loaded.nearest(user, query.limit), Degradation.VECTORS)
        return _found(_with_fresh(hits, loaded, user, query.limit))


def _with_fresh(hits: list[VectorHit], loaded: LoadedModel, user: Vectors, limit: int) -> list[VectorHit]:
    seen = {hit.item_id for hit in hits}
    fresh = [hit for hit in loaded.nearest(user, limit, tuple(loaded.fresh)) if hit.item_id not in seen]
    return sorted([*hits, *fresh], key=lambda hit: -hit.score)[:limit]


def _found(hits: list[VectorHit], *missing: Degradation) -> Found:
    return Found([Candidate(hit.item_id, hit.score) for hit in hits], frozenset(missing))
