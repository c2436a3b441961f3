"""Candidates that many shoppers touch now: in the wanted category, or in the user's own categories and overall."""

from itertools import chain, zip_longest

from contracts.ids import ItemId
from contracts.requests import Source
from services.retrieval.candidates import Candidate, Found, Query
from services.retrieval.catalogue_view import CatalogueView

AFFINITIES = 3
"""Categories of the user whose trends are taken beside the whole shop's."""


class TrendingSource:
    """Takes turns between the trends of the user's strongest categories and the whole shop's."""

    name = Source.TRENDING

    def __init__(self, view: CatalogueView):
        self._view = view

    async def find(self, query: Query) -> Found:
        """Best first; only items that interactions have reached lately."""
        wanted: list[str | None] = [query.category]
        if query.category is None and query.user is not None:
            wanted = [*query.user.category_names[:AFFINITIES], None]
        lists = [self._view.popular(category)[: query.limit] for category in wanted]
        turns = (item_id for item_id in chain.from_iterable(zip_longest(*lists)) if item_id is not None)
        distinct: dict[ItemId, None] = dict.fromkeys(item_id for item_id in turns if self._view.is_trending(item_id))
        ranked = [Candidate(item_id, 1 / rank) for rank, item_id in enumerate(distinct, start=1)]
        return Found(ranked[: query.limit])
