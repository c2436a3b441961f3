"""What the log tells the gateway, and what it tells that cannot be used."""

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
