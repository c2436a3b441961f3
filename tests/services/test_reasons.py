"""The sentences that say why, each from a fact."""

from contracts.catalogue import Item
from contracts.events import EventKind
from contracts.features import ItemFeatures, UserFeatures
from contracts.ids import ItemId
from contracts.requests import Source
from services.ranking.reasons import Grounds, reasons
from services.retrieval.candidates import Query
from training.model.serving import History

WINE, BEER = ItemId("wine"), ItemId("beer")
ITEMS = {
    WINE: Item(item_id=WINE, title="Red wine", category="drinks", brand="Best"),
    BEER: Item(item_id=BEER, title="Pale ale", category="drinks", brand="Best"),
}


def told(
    *kinds: EventKind, sources=(Source.MODEL,), user=None, features=None, similar=None, context=(WINE,)
) -> list[str]:
    history = History((WINE,) * len(kinds), kinds, (0,) * len(kinds))
    query = Query(history, user, context, None, 10, 0)
    grounds = Grounds(query, ITEMS.get, (features or {}).get, {BEER: similar} if similar else {})
    return reasons(ITEMS[BEER], sources, grounds)


def test_the_strongest_deed_is_told() -> None:
    assert told(EventKind.VIEW, EventKind.PURCHASE, similar=(WINE, 0.9)) == ["Because you bought Red wine."]
    assert told(EventKind.ADD_TO_CART, similar=(WINE, 0.9)) == ["Because you put in your cart Red wine."]
    assert told(similar=(WINE, 0.9)) == ["Because you looked at Red wine."]


def test_a_weak_likeness_is_not_told() -> None:
    assert told(EventKind.PURCHASE, similar=(WINE, 0.4)) == [
        "It is in the catalogue and nothing closer to you is known yet."
    ]


def test_co_visits_affinities_and_trends_are_told() -> None:
    features = {
        WINE: ItemFeatures(co_visit_items=("beer",), co_visit_weights=(1.0,)),
        BEER: ItemFeatures(trend_score=2.0),
    }
    user = UserFeatures(category_names=("drinks",), brand_names=("Best",))
    assert told(features=features) == ["Shoppers who looked at Red wine also looked at this."]
    assert told(user=user) == ["You often choose drinks.", "You often choose the brand Best."]
    assert told(features={BEER: features[BEER]}, sources=(Source.TRENDING,)) == ["Popular in drinks right now."]


def test_a_match_of_the_search_comes_first_and_three_are_enough() -> None:
    user = UserFeatures(category_names=("drinks",), brand_names=("Best",))
    sentences = told(sources=(Source.TEXT, Source.PICTURE), user=user)
    assert sentences == ["It matches your words.", "It looks like your picture.", "You often choose drinks."]
