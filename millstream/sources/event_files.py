"""A shop's event file: rows to events. Columns are the fields of `contracts.events`; see docs/event-schema.md.

An event without an `event_id` gets one made from its file's name, line and content, so that replaying the same file
again counts nothing twice. Unlike over HTTP, `at` is required: a file is about the past.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from contracts.clock import Clock, utc_now
from contracts.errors import BadInput
from contracts.events import EventKind, Interaction
from contracts.wire import decode_shop_event
from millstream.sources.rejects import Rejects
from millstream.sources.rows import Row, read_rows

_TEXT_FIELDS = ("user_id", "item_id", "session_id", "event_id", "request_id")
_NOT_OF_KIND = {
    EventKind.SEARCH: ("item_id", "quantity", "price_cents", "stars"),
    EventKind.VIEW: ("text", "quantity", "price_cents", "stars"),
    EventKind.CLICK: ("text", "quantity", "price_cents", "stars"),
    EventKind.ADD_TO_CART: ("text", "price_cents", "stars"),
    EventKind.PURCHASE: ("text", "stars"),
    EventKind.RATING: ("text", "quantity", "price_cents"),
}
"""Columns that a table has for other kinds: a row's cells there are left out, not refused."""


def read_events(path: Path, rejects: Rejects, clock: Clock = utc_now) -> Iterator[Interaction]:
    """The events of a file, in its order; rows that are wrong go to the rejects.

    Raises:
        BadFile: the file cannot be read at all.
    """
    for row in read_rows(path):
        if row.problem:
            rejects.refuse(row.line, row.problem, row.fields)
            continue
        if "at" not in row.fields:
            rejects.refuse(row.line, "field at: not there; expected the time of the event, with its zone", row.fields)
            continue
        try:
            yield decode_shop_event(event_fields(row, path.name), clock())
        except BadInput as error:
            rejects.refuse(row.line, str(error), row.fields)


def event_fields(row: Row, file_name: str) -> dict[str, Any]:
    """A row's columns as the fields of its kind, with an event id."""
    fields = dict(row.fields)
    kind = fields.get("kind")
    for name in _NOT_OF_KIND.get(kind, ()) if isinstance(kind, str) else ():  # type: ignore[call-overload]
        fields.pop(name, None)
    for name in _TEXT_FIELDS:
        if name in fields:
            fields[name] = str(fields[name])
    fields.setdefault("event_id", _event_id(row, file_name))
    return fields


def _event_id(row: Row, file_name: str) -> str:
    content = orjson.dumps([file_name, row.line, row.fields], default=str, option=orjson.OPT_SORT_KEYS)
    return "file-" + hashlib.sha256(content).hexdigest()[:24]
