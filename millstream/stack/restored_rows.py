"""Archived rows as the messages that they were: what goes back on a new log. Pure."""

from collections.abc import Iterable, Iterator
from typing import Any

from contracts.catalogue import Item
from contracts.events import USER_EVENT, EventKind, ItemUpserted
from contracts.ids import EventId, ItemId, UserId
from contracts.wire import encode
from feature_repo.archive_rows import last_of_each
from feature_repo.archive_schemas import PLACE

_NO_ITEM_FIELDS = ("at", "event_id", "deleted", *PLACE)


def catalogue_messages(rows: Iterable[dict[str, Any]]) -> Iterator[tuple[ItemId, bytes]]:
    """The last state of each item that is not deleted, as `item_upserted` events.

    Args:
        rows: Rows of the dataset `items`, in the order of their time.
    """
    for row in last_of_each(rows).values():
        if row["deleted"]:
            continue
        fields = {name: value for name, value in row.items() if value is not None and name not in _NO_ITEM_FIELDS}
        fields["attributes"] = dict(row["attributes"] or ())
        event = ItemUpserted(event_id=EventId(row["event_id"]), at=row["at"], item=Item.model_validate(fields))
        yield event.item.item_id, encode(event)


def event_messages(rows: Iterable[dict[str, Any]]) -> Iterator[tuple[UserId, bytes]]:
    """The events and impressions, with their own ids and times; none is traced, for their way is in the past.

    Args:
        rows: Rows of the dataset `events`, in the order of their time.
    """
    for row in rows:
        fields = {name: value for name, value in row.items() if value is not None and name not in PLACE}
        if row["kind"] == EventKind.IMPRESSION:
            fields.setdefault("model_version", None)  # Required there, and None before the first model.
        event = USER_EVENT.validate_python(fields)
        yield event.user_id, encode(event)
