"""What the log tells the gateway, and what it tells that cannot be used."""

import pytest

from contracts.errors import LogUnavailable
from contracts.topics import ITEM_VECTORS, ITEMS, MODEL_VERSIONS
from tests.services.doubles import Shop, unit


async def test_messages_that_cannot_be_used_are_left_out_and_the_rest_goes_on(shop: Shop) -> None:
    shop.log.publish(ITEMS, "x", b"no json")
    shop.log.publish(ITEMS, "x", b'{"kind": "item_upserted"}')
    shop.log.publish(MODEL_VERSIONS, "fusion", b"{}")
    shop.put("tea")
    shop.settle()
    assert (await shop.http.get("/v1/items/tea")).status_code == 200


async def test_a_row_of_items_that_cannot_be_used_costs_itself_alone(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.item_features("beer", co_visit_items=("wine", "soap"), co_visit_weights=(1.0,))
    shop.put("tea")
    shop.settle()
    assert shop.parts.view.item("tea") is not None
    assert shop.parts.view.features("beer").co_visit_items == ()

    def fails(item_id: str, content: object) -> None:
        raise ZeroDivisionError("a bug on one message")

    with monkeypatch.context() as patched:
        patched.setattr(shop.parts.view, "put_content", fails)
        shop.content("wine", unit(1))
        shop.put("cocoa")
        shop.settle()
    assert shop.parts.view.item("cocoa") is not None


async def test_a_version_of_an_unknown_format_leaves_the_one_in_memory(shop: Shop) -> None:
    shop.log.publish(MODEL_VERSIONS, "fusion", b'{"schema_version": 3, "version": "m9"}')
    shop.put("tea")
    shop.settle()
    assert (await shop.recommend())["model_version"] == "m1"
    assert shop.parts.view.item("tea") is not None


def test_a_tombstone_forgets_the_item_and_its_vectors(shop: Shop) -> None:
    shop.log.publish(ITEM_VECTORS, "wine", None)
    shop.log.publish(ITEMS, "beer", None)
    shop.settle()
    assert shop.parts.view.content("wine") is None
    assert shop.parts.view.item("beer") is None


def test_vectors_of_another_encoder_are_left_out(empty_shop: Shop) -> None:
    other = empty_shop.settings.model_copy(update={"text_encoder": "another"})
    empty_shop.put("tea")
    mine, empty_shop.settings = empty_shop.settings, other
    empty_shop.content("tea", unit(1))
    empty_shop.settings = mine
    empty_shop.settle()
    assert empty_shop.parts.view.content("tea") is None


def test_the_tail_goes_on_where_it_was_when_the_log_returns(shop: Shop) -> None:
    shop.log.available = False
    try:
        shop.parts.tail.step(0)
    except LogUnavailable:
        shop.log.available = True
    shop.put("tea")
    shop.settle()
    assert shop.parts.view.item("tea") is not None
