"""The archive's datasets: the Arrow schema, the time and the identity of the rows of each."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from contracts.features import ITEM_FEATURES, USER_FEATURES, Dtype, Feature

TIME = pa.timestamp("us", tz="UTC")

ARROW_TYPES: dict[Dtype, pa.DataType] = {
    Dtype.INT: pa.int64(),
    Dtype.FLOAT: pa.float64(),
    Dtype.STRING: pa.string(),
    Dtype.INT_LIST: pa.list_(pa.int64()),
    Dtype.FLOAT_LIST: pa.list_(pa.float64()),
    Dtype.STRING_LIST: pa.list_(pa.string()),
}


@dataclass(frozen=True)
class Dataset:
    """One dataset.

    Attributes:
        time: The column of event time, which also gives the partition (`date=YYYY-MM-DD`).
        identity: Rows equal in these columns are one row, written again by a redelivery.
    """

    name: str
    schema: pa.Schema
    time: str
    identity: tuple[str, ...]


def _features(name: str, entity: str, features: Sequence[Feature]) -> Dataset:
    columns = [(entity, pa.string()), ("event_timestamp", TIME), ("created", TIME)]
    columns += [(feature.name, ARROW_TYPES[feature.dtype]) for feature in features]
    # A row may be written twice with one event time (a late event changes it); the later writing is then a row of its
    # own, and the point-in-time join takes the newest `created`.
    return Dataset(name, pa.schema(columns), "event_timestamp", (entity, "event_timestamp", "created"))


EVENTS = Dataset(
    "events",
    pa.schema(
        [
            ("event_id", pa.string()),
            ("kind", pa.string()),
            ("at", TIME),
            ("user_id", pa.string()),
            ("session_id", pa.string()),
            ("item_id", pa.string()),
            ("request_id", pa.string()),
            ("quantity", pa.int64()),
            ("price_cents", pa.int64()),
            ("stars", pa.float64()),
            ("text", pa.string()),
            ("model_version", pa.string()),
            ("surface", pa.string()),
            (
                "items",
                pa.list_(
                    pa.struct(
                        [
                            ("item_id", pa.string()),
                            ("position", pa.int64()),
                            ("score", pa.float64()),
                            ("sources", pa.list_(pa.string())),
                        ]
                    )
                ),
            ),
        ]
    ),
    "at",
    ("event_id",),
)

FEEDBACK = Dataset(
    "feedback",
    pa.schema(
        [
            ("example_id", pa.string()),
            ("user_id", pa.string()),
            ("item_id", pa.string()),
            ("at", TIME),
            ("outcome", pa.string()),
            ("event_id", pa.string()),
            ("request_id", pa.string()),
            ("position", pa.int64()),
            ("model_version", pa.string()),
            ("quantity", pa.int64()),
            ("history_items", pa.list_(pa.string())),
            ("history_kinds", pa.list_(pa.string())),
            ("history_times_ms", pa.list_(pa.int64())),
            ("traced", pa.bool_()),
        ]
    ),
    "at",
    ("example_id",),
)

ITEMS = Dataset(
    "items",
    pa.schema(
        [
            ("item_id", pa.string()),
            ("at", TIME),
            ("event_id", pa.string()),
            ("deleted", pa.bool_()),
            ("title", pa.string()),
            ("description", pa.string()),
            ("category", pa.string()),
            ("brand", pa.string()),
            ("price_cents", pa.int64()),
            ("in_stock", pa.bool_()),
            ("attributes", pa.map_(pa.string(), pa.string())),
            ("picture", pa.string()),
        ]
    ),
    "at",
    ("item_id", "at"),
)

ITEM_VECTORS = Dataset(
    "item_vectors",
    pa.schema(
        [
            ("item_id", pa.string()),
            ("at", TIME),
            ("text", pa.string()),
            ("picture", pa.string()),
            ("text_encoder", pa.string()),
            ("picture_encoder", pa.string()),
        ]
    ),
    "at",
    ("item_id", "at"),
)

USER_FEATURE_ROWS = _features("user_features", "user_id", USER_FEATURES)
ITEM_FEATURE_ROWS = _features("item_features", "item_id", ITEM_FEATURES)

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset for dataset in (EVENTS, FEEDBACK, ITEMS, ITEM_VECTORS, USER_FEATURE_ROWS, ITEM_FEATURE_ROWS)
}
