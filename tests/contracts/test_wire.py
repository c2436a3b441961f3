"""Errors on the wire, each by its cause."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.bounds import MOST_PIECES
from contracts.clock import FUTURE_TOLERANCE
from contracts.deadletters import DeadLetter, refused
from contracts.errors import BadInput, FutureEvent, InvalidMessage, UndecodableMessage
from contracts.events import Purchase, View
from contracts.ids import ItemId, UserId
from contracts.wire import decode, decode_catalogue_event, decode_shop_event, decode_user_event, encode

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CLICK: dict[str, Any] = {
    "kind": "click", "event_id": "evt-1", "at": "2026-03-01T11:00:00Z", "user_id": "u-1", "item_id": "i-1",
}  # fmt: skip


def raw(**changes: Any) -> bytes:
    return json.dumps({name: value for name, value in (CLICK | changes).items() if value is not None}).encode()


@pytest.mark.parametrize(
    "message",
    [None, b"", b"not json", b"{", b"[]", b"null", b"\xff\xfe", raw(kind="teleport")],
    ids=["nothing", "empty", "text", "half", "a list", "null", "no UTF-8", "an unknown kind"],
)
def test_bytes_of_no_known_message_are_undecodable(message: bytes | None) -> None:
    with pytest.raises(UndecodableMessage):
        decode_user_event(message, NOW)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (raw(user_id=None), "user_id"),
        (raw(user_id=""), "user_id"),
        (raw(item_id=None), "item_id"),
        (raw(item_id="x" * 129), "item_id"),
        (raw(event_id=None), "event_id"),
        (raw(at=None), "at"),
        (raw(at="2026-03-01T11:00:00"), "time zone"),
        (raw(at="yesterday"), "at"),
        (raw(at="0001-01-01T00:00:00+14:00"), "since 1990"),
        (raw(colour="red"), "colour"),
        (raw(schema_version=2), "schema_version"),
        (raw(kind="purchase", quantity=0), "quantity"),
        (raw(kind="rating", stars=6), "stars"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_wrong_field_is_invalid_and_named(message: bytes, told: str) -> None:
    with pytest.raises(InvalidMessage, match=told):
        decode_user_event(message, NOW)


def test_the_future_begins_after_the_tolerance() -> None:
    at_edge = (NOW + FUTURE_TOLERANCE).isoformat()
    past_edge = (NOW + FUTURE_TOLERANCE + timedelta(milliseconds=1)).isoformat()
    assert decode_user_event(raw(at=at_edge), NOW).at == NOW + FUTURE_TOLERANCE
    with pytest.raises(FutureEvent, match="check the sender's clock"):
        decode_user_event(raw(at=past_edge), NOW)


def test_times_of_any_zone_are_kept_in_utc() -> None:
    event = decode_user_event(raw(at="2026-03-01T11:00:00+02:00"), NOW)
    assert event.at == datetime(2026, 3, 1, 11 - 2, tzinfo=UTC)
    assert event.at.tzinfo is UTC


def test_a_user_event_is_no_catalogue_event() -> None:
    with pytest.raises(UndecodableMessage):
        decode_catalogue_event(raw(), NOW)


def test_a_shop_may_leave_out_id_and_time_but_may_not_post_impressions() -> None:
    event = decode_shop_event({"kind": "view", "user_id": "u-1", "item_id": "i-1"}, datetime.now(UTC))
    assert isinstance(event, View)
    assert event.event_id.startswith("evt-")
    with pytest.raises(UndecodableMessage):
        decode_shop_event({"kind": "impression", "user_id": "u-1"}, NOW)
    with pytest.raises(UndecodableMessage, match=r"found \[\]"):
        decode_shop_event([], NOW)


def test_a_refused_message_keeps_its_bytes_and_its_reason() -> None:
    letter = refused("events", 2, 17, b"\xff", b"\x00bad", UndecodableMessage("found bytes"), NOW)
    again = decode(DeadLetter, encode(letter))
    assert again == letter
    assert (again.reason, again.raw_value()) == ("undecodable", b"\x00bad")


PRINTABLE = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=128).filter(
    lambda text: text not in {".", ".."}
)


@given(st.binary(max_size=200))
def test_no_bytes_at_all_raise_anything_but_bad_input(message: bytes) -> None:
    with pytest.raises(BadInput):
        decode_user_event(message, NOW)


@given(
    user=PRINTABLE,
    item=PRINTABLE,
    quantity=st.integers(-MOST_PIECES, MOST_PIECES).filter(bool),
    at=st.datetimes(datetime(2000, 1, 1), datetime(2026, 1, 1), timezones=st.just(UTC)),
)
def test_any_purchase_survives_the_wire(user: str, item: str, quantity: int, at: datetime) -> None:
    event = Purchase(at=at, user_id=UserId(user), item_id=ItemId(item), quantity=quantity)
    assert decode_user_event(encode(event), NOW) == event
