"""Merging the lists of several sources into one.

Reciprocal rank fusion (Cormack, Clarke, Buettcher 2009, eq. 1): score(d) = sum over lists of 1 / (60 + rank of d in the
list), rank from 1. We differ in a weight per list, so that a personal source counts for more than what is popular.
"""

from collections.abc import Mapping, Sequence

from contracts.ids import ItemId
from contracts.requests import Source
from services.retrieval.candidates import Candidate, Merged

RANK_OFFSET = 60

WEIGHTS: Mapping[Source, float] = {
    Source.MODEL: 1.0,
    Source.CO_VISIT: 1.0,
    Source.CONTENT: 0.7,
    Source.TRENDING: 0.4,
    Source.TEXT: 1.0,
    Source.PICTURE: 1.0,
}


def merge(
    lists: Sequence[tuple[Source, Sequence[Candidate]]], weights: Mapping[Source, float] = WEIGHTS
) -> list[Merged]:
    """All candidates once, best first; equal scores are ordered by item id, so that the order is always the same.

    Args:
        lists: For each source its candidates, best first. A source may come twice (two lists of text hits): its name
            is then listed once.
        weights: Weight of each source's list.
    """
    parts: dict[ItemId, dict[Source, float]] = {}
    for source, candidates in lists:
        for rank, candidate in enumerate(candidates, start=1):
            by_source = parts.setdefault(candidate.item_id, {})
            by_source[source] = by_source.get(source, 0.0) + weights[source] / (RANK_OFFSET + rank)
    merged = [
        Merged(item_id, sum(by_source.values()), tuple(sorted(by_source, key=lambda name: -by_source[name])))
        for item_id, by_source in parts.items()
    ]
    merged.sort(key=lambda candidate: (-candidate.score, candidate.item_id))
    return merged
