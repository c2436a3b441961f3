"""Candidates that other shoppers touched in the same session as the items of this context, from memory."""

from contracts.ids import ItemId
from contracts.requests import Source
from services.retrieval.candidates import Candidate, Found, Query
from services.retrieval.catalogue_view import CatalogueView

CONTEXT_DECAY = 0.8
"""Each further item of the context counts for so much of the one before it."""


class CoVisitSource:
    """Sums the co-visit shares of the context's items: a share is a co-visit's weight within its item's row."""

    name = Source.CO_VISIT

    def __init__(self, view: CatalogueView):
        self._view = view

    async def find(self, query: Query) -> Found:
        """Best first; nothing for an empty context."""
        scores: dict[ItemId, float] = {}
        for depth, anchor in enumerate(query.context):
            row = self._view.features(anchor)
            if row is None or not row.co_visit_weights:
                continue
            whole = sum(row.co_visit_weights)
            for neighbour, weight in zip(row.co_visit_items, row.co_visit_weights, strict=False):
                item_id = ItemId(neighbour)
                scores[item_id] = scores.get(item_id, 0.0) + CONTEXT_DECAY**depth * weight / whole
        best = sorted(scores, key=lambda item_id: (-scores[item_id], item_id))[: query.limit]
        return Found([Candidate(item_id, scores[item_id]) for item_id in best])
