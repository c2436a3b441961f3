"""The simulated shoppers: seeded, labelled, and driven by their taste."""

import numpy as np

from contracts.events import EventKind
from contracts.ids import ItemId, UserId
from contracts.requests import ItemCard, RankedItem
from millstream.demo.simulator import Taste, intentions, tastes

CATEGORIES = ["Fruit", "Yogurt", "Candy", "Meat", "Juice"]
BRANDS = ["A", "B", "C", "D", "E", "F"]
LIKES_YOGURT = Taste(UserId("sim-1"), {"Yogurt": 0.9}, frozenset(), thrift=0.0)


def _shown(*categories: str) -> list[RankedItem]:
    return [
        RankedItem(
            item_id=ItemId(f"i{place}"), position=place, score=0.0, sources=[],
            item=ItemCard(title="", category=category, brand="A", price_cents=100, in_stock=True, picture=None),
        )
        for place, category in enumerate(categories)
    ]  # fmt: skip


def test_the_same_seed_gives_the_same_shoppers_and_the_same_behaviour() -> None:
    assert tastes(CATEGORIES, BRANDS, 5, seed=3) == tastes(CATEGORIES, BRANDS, 5, seed=3)
    runs = [
        [intentions(LIKES_YOGURT, _shown("Candy", "Yogurt", "Meat"), rng) for _ in range(50)]
        for rng in (np.random.default_rng(1), np.random.default_rng(1))
    ]
    assert runs[0] == runs[1]


def test_every_simulated_shopper_is_labelled_in_its_id() -> None:
    assert all(taste.user_id.startswith("sim-") for taste in tastes(CATEGORIES, BRANDS, 8, seed=1))


def test_a_shopper_clicks_what_it_likes_more_often_than_what_it_does_not() -> None:
    rng = np.random.default_rng(5)
    clicked = [
        done[0].item_id for _ in range(400) if (done := intentions(LIKES_YOGURT, _shown("Candy", "Yogurt"), rng))
    ]
    assert clicked.count(ItemId("i1")) > 5 * clicked.count(ItemId("i0"))


def test_a_lower_place_is_seen_less_often() -> None:
    rng = np.random.default_rng(5)
    shown = _shown(*["Yogurt"] * 12)
    places = [done[0].position for _ in range(400) if (done := intentions(LIKES_YOGURT, shown, rng))]
    assert places.count(0) > places.count(1) > places.count(4)


def test_cart_and_purchase_follow_a_click_on_the_same_item() -> None:
    rng = np.random.default_rng(5)
    for _ in range(200):
        done = intentions(LIKES_YOGURT, _shown("Yogurt", "Yogurt"), rng)
        assert [act.kind for act in done] == [EventKind.CLICK, EventKind.ADD_TO_CART, EventKind.PURCHASE][: len(done)]
        assert len({act.item_id for act in done}) <= 1


def test_an_empty_list_gives_nothing_to_do() -> None:
    assert intentions(LIKES_YOGURT, [], np.random.default_rng(0)) == []
