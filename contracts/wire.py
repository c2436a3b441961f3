"""JSON on the wire: how a message becomes bytes and how bytes become a message, with errors by cause.

On the wire `event_id` and `at` are required (a default would make a redelivered message a new event).
"""

from datetime import datetime
from typing import TypeVar

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError

from contracts.clock import FUTURE_TOLERANCE
from contracts.errors import FutureEvent, InvalidMessage, UndecodableMessage
from contracts.events import (
    CATALOGUE_EVENT,
    SHOP_EVENT,
    USER_EVENT,
    EventKind,
    Impression,
    Interaction,
    ItemDeleted,
    ItemUpserted,
)
from contracts.refusals import SHOWN_CHARACTERS, first_refusal, shown

Message = TypeVar("Message", bound=BaseModel)
Validated = TypeVar("Validated")

KINDS = frozenset(EventKind)


def encode(message: BaseModel) -> bytes:
    """The message as compact JSON; field order is the model's, so equal messages are equal bytes."""
    return message.model_dump_json().encode()


def decode_user_event(raw: bytes | None, now: datetime) -> Impression | Interaction:
    """An interaction or impression from the topic `events`.

    Raises:
        UndecodableMessage: no JSON object, or of no known kind.
        InvalidMessage: a known kind with a missing or wrong field.
        FutureEvent: `at` is later than `now` plus the tolerance.
    """
    event = _decode(USER_EVENT, raw)
    _refuse_future(event.at, now)
    return event


def decode_catalogue_event(raw: bytes | None, now: datetime) -> ItemUpserted | ItemDeleted:
    """An item event from the topic `items`. Raises as `decode_user_event`."""
    event = _decode(CATALOGUE_EVENT, raw)
    _refuse_future(event.at, now)
    return event


def decode_shop_event(fields: object, now: datetime) -> Interaction:
    """An interaction as a shop posts it or keeps it in a file; `event_id` and `at` may be missing.

    Raises: as `decode_user_event`.
    """
    if not isinstance(fields, dict):
        raise UndecodableMessage(f"found {shown(fields)}; expected a JSON object with a field 'kind'")
    event = _validated(SHOP_EVENT, fields)
    _refuse_future(event.at, now)
    return event


def decode(model: type[Message], raw: bytes | None) -> Message:
    """A message of one known model. Raises UndecodableMessage or InvalidMessage."""
    fields = _json_object(raw)
    try:
        return model.model_validate_json(orjson.dumps(fields))
    except ValidationError as error:
        raise InvalidMessage(first_refusal(error, KINDS)) from error


def _decode(adapter: TypeAdapter[Validated], raw: bytes | None) -> Validated:
    fields = _json_object(raw)
    for name in ("event_id", "at", "kind"):
        if name not in fields:
            raise InvalidMessage(f"found no field {name!r}; expected it in every message on the wire")
    return _validated(adapter, fields)


def _json_object(raw: bytes | None) -> dict[str, object]:
    if raw is None:
        raise UndecodableMessage("found an empty message; expected a JSON object")
    try:
        fields = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise UndecodableMessage(f"found {_text(raw)}, which is no JSON ({error}); expected a JSON object") from error
    if not isinstance(fields, dict):
        raise UndecodableMessage(f"found {shown(fields)}; expected a JSON object")
    return fields


def _text(raw: bytes) -> str:
    return shown(raw[:SHOWN_CHARACTERS].decode(errors="replace"))


def _validated(adapter: TypeAdapter[Validated], fields: dict[str, object]) -> Validated:
    try:
        return adapter.validate_python(fields)
    except ValidationError as error:
        kinds = {problem["type"] for problem in error.errors()}
        if kinds & {"union_tag_invalid", "union_tag_not_found"}:
            raise UndecodableMessage(first_refusal(error, KINDS)) from error
        raise InvalidMessage(first_refusal(error, KINDS)) from error


def _refuse_future(at: datetime, now: datetime) -> None:
    if at > now + FUTURE_TOLERANCE:
        raise FutureEvent(
            f"found at={at.isoformat()}, later than now ({now.isoformat()}) by more than {FUTURE_TOLERANCE}; "
            "expected a time in the past; check the sender's clock and time zone"
        )
