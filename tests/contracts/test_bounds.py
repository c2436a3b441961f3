"""The bounds of what comes in: what is refused, in which words, and that nothing accepted is too large for the log."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.bounds import MOST_ATTRIBUTE_CHARACTERS, MOST_ATTRIBUTES, MOST_CENTS, MOST_PIECES
from contracts.catalogue import Item
from contracts.clock import utc_now
from contracts.errors import InvalidMessage
from contracts.events import Click, ItemUpserted
from contracts.refusals import phrased
from contracts.wire import decode_shop_event, encode

CLICK = {"kind": "click", "user_id": "ann", "item_id": "wine", "at": "2026-03-01T12:00:00Z"}
PURCHASE = {**CLICK, "kind": "purchase"}
ITEM = {"item_id": "wine", "title": "Wine"}
LOG_TAKES = 1_000_000


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({**PURCHASE, "quantity": 2**63}, f"field quantity: found 9223372036854775808; expected at most {MOST_PIECES}"),
        ({**PURCHASE, "quantity": 0}, "field quantity: found 0; expected pieces bought"),
        ({**PURCHASE, "quantity": True}, "field quantity: found true; expected a whole number"),
        ({**PURCHASE, "quantity": "many"}, 'field quantity: found "many"; expected a whole number'),
        (
            {**PURCHASE, "price_cents": 10**13},
            f"field price_cents: found 10000000000000; expected at most {MOST_CENTS}",
        ),
        ({**PURCHASE, "price_cents": -1}, "field price_cents: found -1; expected at least 0"),
        ({**CLICK, "kind": "rating", "stars": float("nan")}, "field stars: found null; expected"),
        (
            {**CLICK, "session_id": "s" * 129},
            f'field session_id: found "{"s" * 79}...; expected at most 128 characters',
        ),
        ({**CLICK, "request_id": "r" * 10**6}, "expected at most 128 characters"),
        ({**CLICK, "item_id": "wi\nne"}, r'field item_id: found "wi\\nne"; expected printable text'),
        ({**CLICK, "item_id": ".."}, 'field item_id: found ".."; expected printable text'),
        ({**CLICK, "item_id": None}, "field item_id: found null; expected text"),
        ({**CLICK, "item_id": ["a"]}, r'field item_id: found \["a"\]; expected text'),
        ({**CLICK, "at": "0001-01-01T00:00:00+14:00"}, "expected a time since 1990"),
        ({**CLICK, "at": "9999-12-31T23:59:59-12:00"}, "expected a time that UTC has"),
        ({**CLICK, "at": "2026-03-01T12:00:00"}, "expected a time with its time zone, such as"),
        ({**CLICK, "colour": {"is": "red"}}, r'field colour: found {"is":"red"}; expected no such field'),
        ({"kind": "click", "user_id": "ann"}, "field item_id: found nothing; expected a value"),
    ],
)
def test_what_is_out_of_bounds_is_told_in_words_of_the_sender(fields: dict[str, object], told: str) -> None:
    with pytest.raises(InvalidMessage, match=told):
        decode_shop_event(fields, utc_now())


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"attributes": {"a": "x" * (MOST_ATTRIBUTE_CHARACTERS + 1)}}, "characters in all attributes"),
        ({"attributes": {f"a{n}": "x" for n in range(MOST_ATTRIBUTES + 1)}}, f"at most {MOST_ATTRIBUTES} entries"),
        ({"attributes": {"in\tstock": "x"}}, "text on one line"),
        ({"price_cents": 2**63}, f"at most {MOST_CENTS}"),
        ({"category": "food\x00"}, "text on one line"),
    ],
)
def test_an_item_out_of_bounds_is_refused_by_its_field(fields: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Item.model_validate({**ITEM, **fields})
    (only,) = map(phrased, refused.value.errors())
    assert told in only.expected


@pytest.mark.parametrize(
    "spelled", ["a/b", "50% off", "Ça va?", "商品-1", "a b", "...", ".5", "#1", "l'été", "👟🏽", "x" * 128]
)
def test_an_id_is_any_printable_text_and_is_kept_as_it_is_spelled(spelled: str) -> None:
    event = decode_shop_event({**CLICK, "item_id": spelled}, utc_now())
    assert isinstance(event, Click)
    assert event.item_id == spelled


WIDE = st.characters(min_codepoint=0x1F300, max_codepoint=0x1F5FF)
"""Four bytes a character in UTF-8."""


@settings(max_examples=30)
@given(character=WIDE, values=st.integers(1, MOST_ATTRIBUTES))
def test_the_largest_item_that_is_accepted_is_far_below_what_the_log_takes(character: str, values: int) -> None:
    names = [f"{number:03}" for number in range(values)]
    left = MOST_ATTRIBUTE_CHARACTERS - 3 * values
    item = Item.model_validate(
        {
            "item_id": character * 128,
            "title": character * 500,
            "description": character * 10_000,
            "category": character * 200,
            "brand": character * 200,
            "attributes": dict.fromkeys(names, character * (left // values)),
        }
    )
    assert len(encode(ItemUpserted(item=item, at=datetime(2026, 3, 1, tzinfo=UTC)))) < LOG_TAKES / 4
