"""Candidates that other shoppers touched in the same session as the items of this context, from memory."""

from contracts.ids import ItemId
from contracts.requests import Source
from services.retrieval.candidates import Candidate, Found, Query
from services.retrieval.catalogue_view import CatalogueView

CONTEXT_DECAY = 0.8
"""Each further item of the context counts for so much of the one before it."""


class CoVisitSource:
    """Sums the co-visit shares of the context's items: a share is a weight among all that were touched with the item.

    A row names what was touched before its item; what was touched after it names it in its own row. Both count.
    """

    name = Source.CO_VISIT

    def __init__(self, view: CatalogueView):
        self._view = view

    async def find(self, query: Query) -> Found:
        """Best first; nothing for an empty context."""
        scores: dict[ItemId, float] = {}
        for depth, anchor in enumerate(query.context):
            together = self._view.followers(anchor)
            row = self._view.features(anchor)
            if row is not None:
                for before, weight in zip(row.co_visit_items, row.co_visit_weights, strict=True):
                    together[ItemId(before)] = together.get(ItemId(before), 0.0) + weight
            whole = sum(together.values())
            for item_id, weight in together.items():
                scores[item_id] = scores.get(item_id, 0.0) + CONTEXT_DECAY**depth * weight / whole
        best = sorted(scores, key=lambda item_id: (-scores[item_id], item_id))[: query.limit]
        return Found([Candidate(item_id, scores[item_id]) for item_id in best])
