"""Messages as archive rows: one function a kind of message, the columns those of `feature_repo.archive_schemas`."""

from datetime import datetime
from typing import Any

from contracts.events import Impression, Interaction, ItemDeleted, ItemUpserted
from contracts.examples import TrainingExample
from contracts.features import ItemFeatures, UserFeatures
from contracts.ids import ItemId, UserId
from contracts.rows import ItemVectors
from feature_repo.archive_schemas import EVENTS, FEEDBACK, ITEM_VECTORS, ITEMS

Row = dict[str, Any]


def event_row(event: Impression | Interaction) -> Row:
    """A row of `events`; columns that the kind does not have are None."""
    return _row(EVENTS.schema.names, event.model_dump())


def example_row(example: TrainingExample) -> Row:
    """A row of `feedback`."""
    return _row(FEEDBACK.schema.names, example.model_dump())


def catalogue_row(event: ItemUpserted | ItemDeleted) -> Row:
    """A row of `items`; a deleted item has its id, time and event alone."""
    fields = event.item.model_dump() if isinstance(event, ItemUpserted) else {"item_id": event.item_id}
    fields |= {"at": event.at, "event_id": event.event_id, "deleted": isinstance(event, ItemDeleted)}
    return _row(ITEMS.schema.names, fields)


def vectors_row(vectors: ItemVectors) -> Row:
    """A row of `item_vectors`."""
    return _row(ITEM_VECTORS.schema.names, vectors.model_dump())


def user_features_row(user_id: UserId, at: datetime, features: UserFeatures, created: datetime) -> Row:
    """A row of `user_features`: the features as of `at`, written at `created`."""
    return {"user_id": user_id, "event_timestamp": at, "created": created, **features.to_values()}


def item_features_row(item_id: ItemId, at: datetime, features: ItemFeatures, created: datetime) -> Row:
    """A row of `item_features`: the features as of `at`, written at `created`."""
    return {"item_id": item_id, "event_timestamp": at, "created": created, **features.to_values()}


def _row(names: list[str], fields: dict[str, Any]) -> Row:
    return {name: _plain(fields.get(name)) for name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, str) else value
