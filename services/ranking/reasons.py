"""Why an item was shown, in plain sentences, strongest first. Pure: no model call is made here.

Each sentence states a fact that the answer was made from: a co-visit row, a similarity of item vectors, an affinity of
the user's row, a trend, a match of the search. Nothing is said that was not used.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from contracts.catalogue import Item
from contracts.events import EventKind
from contracts.features import ItemFeatures, UserFeatures
from contracts.ids import ItemId
from contracts.requests import Source
from services.retrieval.candidates import Query

MAX_REASONS = 3
MIN_SIMILARITY = 0.5
AFFINITIES_TOLD = 3

_DEEDS: Mapping[EventKind, str] = {
    EventKind.PURCHASE: "bought",
    EventKind.ADD_TO_CART: "put in your cart",
    EventKind.CLICK: "clicked",
    EventKind.VIEW: "looked at",
    EventKind.RATING: "rated",
}
_STRONGEST = tuple(_DEEDS)


@dataclass(frozen=True)
class Grounds:
    """What the reasons are drawn from.

    Attributes:
        query: The request as the sources saw it.
        item_of: Looks an item up.
        features_of: Looks an item's features up.
        similar: For each shown item its most similar item of the history, and their cosine.
    """

    query: Query
    item_of: Callable[[ItemId], Item | None]
    features_of: Callable[[ItemId], ItemFeatures | None]
    similar: Mapping[ItemId, tuple[ItemId, float]]


def reasons(item: Item, sources: tuple[Source, ...], grounds: Grounds) -> list[str]:
    """At most three sentences for one shown item; always at least one."""
    told = [
        *_match(sources),
        *_likeness(item, grounds),
        *_co_visit(item, grounds),
        *_affinity(item, grounds.query.user),
        *_trend(item, sources, grounds),
    ]
    return told[:MAX_REASONS] or ["It is in the catalogue and nothing closer to you is known yet."]


def deed(item_id: ItemId, query: Query) -> str:
    """The strongest thing the user did with the item, as a verb of the past; "looked at" for an item of the moment."""
    kinds = {kind for known, kind in zip(query.history.items, query.history.kinds, strict=True) if known == item_id}
    return next((_DEEDS[kind] for kind in _STRONGEST if kind in kinds), "looked at")


def _match(sources: tuple[Source, ...]) -> list[str]:
    told = []
    if Source.TEXT in sources:
        told.append("It matches your words.")
    if Source.PICTURE in sources:
        told.append("It looks like your picture.")
    return told


def _likeness(item: Item, grounds: Grounds) -> list[str]:
    found = grounds.similar.get(item.item_id)
    if found is None or found[1] < MIN_SIMILARITY:
        return []
    known = grounds.item_of(found[0])
    return [] if known is None else [f"Because you {deed(found[0], grounds.query)} {known.title}."]


def _co_visit(item: Item, grounds: Grounds) -> list[str]:
    best: tuple[float, Item] | None = None
    for anchor_id in grounds.query.context:
        anchor, row = grounds.item_of(anchor_id), grounds.features_of(anchor_id)
        if anchor is None or row is None:
            continue
        for neighbour, weight in zip(row.co_visit_items, row.co_visit_weights, strict=False):
            if neighbour == item.item_id and (best is None or weight > best[0]):
                best = (weight, anchor)
    return [] if best is None else [f"Shoppers who looked at {best[1].title} also looked at this."]


def _affinity(item: Item, user: UserFeatures | None) -> list[str]:
    if user is None:
        return []
    told = []
    if item.category and item.category in user.category_names[:AFFINITIES_TOLD]:
        told.append(f"You often choose {item.category}.")
    if item.brand and item.brand in user.brand_names[:AFFINITIES_TOLD]:
        told.append(f"You often choose the brand {item.brand}.")
    return told


def _trend(item: Item, sources: tuple[Source, ...], grounds: Grounds) -> list[str]:
    features = grounds.features_of(item.item_id)
    if Source.TRENDING not in sources or features is None or features.trend_score <= 0:
        return []
    return [f"Popular in {item.category} right now." if item.category else "Popular right now."]
