"""Messages as archive rows: one function a kind of message, the columns those of `feature_repo.archive_schemas`.

Each row bears the place of its message in the log; None where there is no message to speak of.
"""

from collections.abc import Iterable
from typing import Any

from contracts.events import Impression, Interaction, ItemDeleted, ItemUpserted
from contracts.examples import TrainingExample
from contracts.ids import ItemId
from contracts.ports import LoggedMessage
from contracts.rows import ItemVectors
from feature_repo.archive_schemas import EVENTS, FEEDBACK, ITEM_VECTORS, ITEMS, Dataset

Row = dict[str, Any]


def event_row(event: Impression | Interaction, message: LoggedMessage | None = None) -> Row:
    """A row of `events`; columns that the kind does not have are None."""
    return _row(EVENTS, event.model_dump(), message)


def example_row(example: TrainingExample, message: LoggedMessage | None = None) -> Row:
    """A row of `feedback`."""
    return _row(FEEDBACK, example.model_dump(), message)


def catalogue_row(event: ItemUpserted | ItemDeleted, message: LoggedMessage | None = None) -> Row:
    """A row of `items`; a deleted item has its id, time and event alone."""
    fields = event.item.model_dump() if isinstance(event, ItemUpserted) else {"item_id": event.item_id}
    fields |= {"at": event.at, "event_id": event.event_id, "deleted": isinstance(event, ItemDeleted)}
    return _row(ITEMS, fields, message)


def vectors_row(vectors: ItemVectors, message: LoggedMessage | None = None) -> Row:
    """A row of `item_vectors`."""
    return _row(ITEM_VECTORS, vectors.model_dump(), message)


def last_of_each(rows: Iterable[Row]) -> dict[ItemId, Row]:
    """The last row of each item, as the log has them: a shop's clock may have gone back between two.

    Args:
        rows: Of `items` or `item_vectors`, by time; time decides among rows without a place, which are older.
    """
    last: dict[ItemId, Row] = {}
    for row in rows:
        known = last.get(row["item_id"])
        if known is None or _offset(row) >= _offset(known):
            last[row["item_id"]] = row
    return last


def _offset(row: Row) -> int:
    offset = row["log_offset"]
    return -1 if offset is None else int(offset)


def _row(dataset: Dataset, fields: dict[str, Any], message: LoggedMessage | None) -> Row:
    row = {name: _plain(fields.get(name)) for name in dataset.schema.names}
    if message is not None:
        row |= {"log_partition": message.partition, "log_offset": message.offset}
    return row


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, str) else value
