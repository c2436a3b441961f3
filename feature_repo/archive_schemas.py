"""The archive's datasets: the Arrow schema, the time and the identity of the rows of each.

Every row bears its place in the log (`PLACE`); it is null in rows that were archived before places were.
"""

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

TIME = pa.timestamp("us", tz="UTC")

PLACE = ("log_partition", "log_offset")
"""Where the row's message stands in its topic."""


@dataclass(frozen=True)
class Dataset:
    """One dataset.

    Attributes:
        time: The column of event time, which also gives the partition (`date=YYYY-MM-DD`).
        identity: Rows equal in these columns are one row: written again by a redelivery, or sent again.
        kept: Which place in the log counts of rows of one identity: an event counts where it came first, of states of
            one time the last one stands.
    """

    name: str
    schema: pa.Schema
    time: str
    identity: tuple[str, ...]
    kept: Literal["first", "last"]


def _schema(*columns: tuple[str, pa.DataType]) -> pa.Schema:
    return pa.schema([*columns, *((name, pa.int64()) for name in PLACE)])


EVENTS = Dataset(
    "events",
    _schema(
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
        ("features_event_count", pa.int64()),
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
    ),
    "at",
    ("event_id",),
    "first",
)

FEEDBACK = Dataset(
    "feedback",
    _schema(
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
    ),
    "at",
    ("example_id",),
    "first",
)

ITEMS = Dataset(
    "items",
    _schema(
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
    ),
    "at",
    ("item_id", "at"),
    "last",
)

ITEM_VECTORS = Dataset(
    "item_vectors",
    _schema(
        ("item_id", pa.string()),
        ("at", TIME),
        ("text", pa.string()),
        ("picture", pa.string()),
        ("text_encoder", pa.string()),
        ("picture_encoder", pa.string()),
    ),
    "at",
    ("item_id", "at"),
    "last",
)

DATASETS: dict[str, Dataset] = {dataset.name: dataset for dataset in (EVENTS, FEEDBACK, ITEMS, ITEM_VECTORS)}
