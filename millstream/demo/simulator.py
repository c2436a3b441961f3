"""How a simulated shopper behaves: a hidden taste, and what it makes of a list. Pure; randomness is injected.

A click needs two things (the examination model of Craswell et al., "An experimental comparison of click position-bias
models", WSDM 2008): the shopper sees the position, and likes the item. Clicks lead on to cart and purchase by taste.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from contracts.events import EventKind
from contracts.ids import ItemId, UserId
from contracts.requests import RankedItem

FAVOURITES = 3
LOVED_BRANDS = 4
EXAMINED_FIRST = 0.95
EXAMINATION_DECAY = 0.85
CART_SHARE = 0.45
BUY_SHARE = 0.55


@dataclass(frozen=True)
class Taste:
    """What a shopper likes, hidden from the system.

    Attributes:
        categories: Liking of a category, from 0 to 1; others count 0.05.
        brands: Brands that double the liking.
        thrift: How much a price in dollars lowers it.
    """

    user_id: UserId
    categories: dict[str, float]
    brands: frozenset[str]
    thrift: float

    def liking(self, category: str, brand: str, price_cents: int | None) -> float:
        """How much this shopper likes an item, from 0 to 1."""
        base = self.categories.get(category, 0.05)
        loved = 1.6 if brand in self.brands else 1.0
        price = math.exp(-self.thrift * (price_cents or 200) / 100)
        return min(1.0, base * loved * price)


@dataclass(frozen=True)
class Intention:
    """What a shopper will do with an item of the list."""

    kind: EventKind
    item_id: ItemId
    position: int


def tastes(categories: Sequence[str], brands: Sequence[str], count: int, seed: int) -> list[Taste]:
    """The shoppers of a run, the same for the same arguments. Their ids begin with `sim-`."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        liked = rng.choice(len(categories), size=min(FAVOURITES, len(categories)), replace=False)
        loved = rng.choice(len(brands), size=min(LOVED_BRANDS, len(brands)), replace=False)
        made.append(
            Taste(
                user_id=UserId(f"sim-{seed}-{number:03d}"),
                categories={categories[place]: float(rng.uniform(0.5, 0.9)) for place in liked},
                brands=frozenset(brands[place] for place in loved),
                thrift=float(rng.uniform(0.0, 0.08)),
            )
        )
    return made


def intentions(taste: Taste, shown: Sequence[RankedItem], rng: np.random.Generator) -> list[Intention]:
    """What the shopper does with a list: at most one click, and what follows from it.

    Args:
        taste: The shopper's.
        shown: The answer's items in their order.
        rng: Randomness.
    """
    for item in shown:
        seen = rng.random() < EXAMINED_FIRST * EXAMINATION_DECAY**item.position
        liking = taste.liking(item.item.category, item.item.brand, item.item.price_cents)
        if not seen or rng.random() >= liking:
            continue
        done = [Intention(EventKind.CLICK, item.item_id, item.position)]
        if rng.random() < CART_SHARE * liking * 2:
            done.append(Intention(EventKind.ADD_TO_CART, item.item_id, item.position))
            if rng.random() < BUY_SHARE:
                done.append(Intention(EventKind.PURCHASE, item.item_id, item.position))
        return done
    return []
