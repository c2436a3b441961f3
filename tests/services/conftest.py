"""A shop of five items with a model, in memory, everything alive."""

from collections.abc import Iterator

import pytest

from tests.services.doubles import FakeModel, Shop, unit, version

VECTORS = {
    "wine": unit(1),
    "beer": unit(0.9, 0.1),
    "bread": unit(0, 1),
    "butter": unit(0.1, 0.9),
    "soap": unit(0, 0, 1),
}


@pytest.fixture
def empty_shop() -> Iterator[Shop]:
    """No items, no model."""
    shop = Shop()
    shop.beat()
    shop.settle()
    yield shop
    shop.close()


@pytest.fixture
def shop(empty_shop: Shop) -> Shop:
    """Five items; soap trends; wine and beer are co-visited; version m1."""
    for place, (name, vector) in enumerate(VECTORS.items()):
        empty_shop.put(name, category="home" if name == "soap" else "food", brand="Best")
        empty_shop.content(name, vector, vector)
        empty_shop.item_features(name, trend_score=float(place + 1))
    empty_shop.item_features("wine", trend_score=1.0, co_visit_items=("beer", "bread"), co_visit_weights=(3.0, 1.0))
    empty_shop.publish_model(FakeModel(version("m1"), VECTORS))
    empty_shop.settle()
    return empty_shop
