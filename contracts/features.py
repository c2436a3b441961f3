"""The feature tables: name, dtype, unit and default of every feature, one row each.

The stream writes these, Feast declares its views from them, training joins them, serving reads them. `UserFeatures` and
`ItemFeatures` are the typed form of one row; a test holds that their fields are the tables' names, in order.
"""

from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from math import isfinite
from typing import Any, ClassVar, Self

from contracts.clock import from_ms
from contracts.errors import InvalidMessage
from contracts.refusals import shown

HISTORY_LENGTH = 50
"""Interactions kept per user, the newest ones."""

PURCHASED_LENGTH = 200
"""Purchased items kept per user, for the filter of what was bought."""

AFFINITY_LENGTH = 8
"""Categories and brands kept per user, the strongest ones."""

CO_VISIT_LENGTH = 20
"""Co-visited items kept per item, the strongest ones."""


class Dtype(StrEnum):
    """Types that every online and offline store of Feast can keep."""

    INT = "int64"
    FLOAT = "float64"
    STRING = "string"
    INT_LIST = "list[int64]"
    FLOAT_LIST = "list[float64]"
    STRING_LIST = "list[string]"


@dataclass(frozen=True)
class Feature:
    """One row of a feature table."""

    name: str
    dtype: Dtype
    unit: str
    default: object


def _fits(value: object, default: object) -> bool:
    """Whether a value may stand where the default stands; what the entries of a list are is the store's word."""
    if isinstance(default, tuple):
        return isinstance(value, tuple) and all(
            isinstance(each, str | int) or (isinstance(each, float) and isfinite(each)) for each in value
        )
    if isinstance(default, float):
        return isinstance(value, float | int) and isfinite(value)
    return isinstance(value, int)


def _words(default: object) -> str:
    return "a list" if isinstance(default, tuple) else "a finite number" if isinstance(default, float) else "an integer"


@dataclass(frozen=True)
class _Row:
    aligned: ClassVar[tuple[tuple[str, ...], ...]] = ()

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> Self:
        """A row from stored values; a missing or None value takes its default, a list becomes a tuple.

        Raises:
            InvalidMessage: a value is of another type or not finite, or lists that belong together differ in length.
        """
        known = {
            field.name: tuple(value) if isinstance(value := values[field.name], list | tuple) else value
            for field in fields(cls)
            if values.get(field.name) is not None
        }
        row = cls(**known)
        for field in fields(cls):
            default, value = field.default, getattr(row, field.name)
            if not _fits(value, default):
                raise InvalidMessage(f"field {field.name}: found {shown(value)}; expected {_words(default)}")
        for names in cls.aligned:
            lengths = {name: len(getattr(row, name)) for name in names}
            if len(set(lengths.values())) > 1:
                raise InvalidMessage(f"found lists of lengths {shown(lengths)}; expected the same length")
        return row

    def to_values(self) -> dict[str, Any]:
        """The row as plain values, tuples as lists: what Feast and Parquet take."""
        return {
            field.name: list(value) if isinstance(value := getattr(self, field.name), tuple) else value
            for field in fields(self)
        }


@dataclass(frozen=True)
class UserFeatures(_Row):
    """One user's features. Lists named `recent_*` are aligned, oldest first; times are milliseconds since the epoch."""

    aligned: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("recent_items", "recent_kinds", "recent_times_ms", "recent_event_ids"),
        ("category_names", "category_weights"),
        ("brand_names", "brand_weights"),
    )

    recent_items: tuple[str, ...] = ()
    recent_kinds: tuple[str, ...] = ()
    recent_times_ms: tuple[int, ...] = ()
    recent_event_ids: tuple[str, ...] = ()
    purchased_items: tuple[str, ...] = ()
    session_items: tuple[str, ...] = ()
    session_started_ms: int = 0
    views_1h: int = 0
    views_1d: int = 0
    views_7d: int = 0
    clicks_1h: int = 0
    clicks_1d: int = 0
    clicks_7d: int = 0
    carts_1h: int = 0
    carts_1d: int = 0
    carts_7d: int = 0
    purchases_1h: int = 0
    purchases_1d: int = 0
    purchases_7d: int = 0
    category_names: tuple[str, ...] = ()
    category_weights: tuple[float, ...] = ()
    brand_names: tuple[str, ...] = ()
    brand_weights: tuple[float, ...] = ()
    event_count: int = 0
    last_event_ms: int = 0

    def last_event_at(self) -> datetime | None:
        """Event time of the newest interaction in the row; None for an empty row."""
        return from_ms(self.last_event_ms) if self.last_event_ms else None


@dataclass(frozen=True)
class ItemFeatures(_Row):
    """One item's features. Rates are smoothed shares of impressions over seven days, from 0 to 1."""

    aligned: ClassVar[tuple[tuple[str, ...], ...]] = (("co_visit_items", "co_visit_weights"),)

    impressions_7d: int = 0
    views_1h: int = 0
    views_1d: int = 0
    views_7d: int = 0
    clicks_1h: int = 0
    clicks_1d: int = 0
    clicks_7d: int = 0
    carts_1h: int = 0
    carts_1d: int = 0
    carts_7d: int = 0
    purchases_1h: int = 0
    purchases_1d: int = 0
    purchases_7d: int = 0
    click_rate_7d: float = 0.0
    cart_rate_7d: float = 0.0
    purchase_rate_7d: float = 0.0
    trend_score: float = 0.0
    co_visit_items: tuple[str, ...] = ()
    co_visit_weights: tuple[float, ...] = ()
    last_event_ms: int = 0


USER_FEATURES: tuple[Feature, ...] = (
    Feature("recent_items", Dtype.STRING_LIST, "item id", ()),
    Feature("recent_kinds", Dtype.STRING_LIST, "event kind", ()),
    Feature("recent_times_ms", Dtype.INT_LIST, "ms since the epoch", ()),
    Feature("recent_event_ids", Dtype.STRING_LIST, "event id", ()),
    Feature("purchased_items", Dtype.STRING_LIST, "item id", ()),
    Feature("session_items", Dtype.STRING_LIST, "item id", ()),
    Feature("session_started_ms", Dtype.INT, "ms since the epoch", 0),
    Feature("views_1h", Dtype.INT, "views in an hour", 0),
    Feature("views_1d", Dtype.INT, "views in a day", 0),
    Feature("views_7d", Dtype.INT, "views in a week", 0),
    Feature("clicks_1h", Dtype.INT, "clicks in an hour", 0),
    Feature("clicks_1d", Dtype.INT, "clicks in a day", 0),
    Feature("clicks_7d", Dtype.INT, "clicks in a week", 0),
    Feature("carts_1h", Dtype.INT, "cart additions in an hour", 0),
    Feature("carts_1d", Dtype.INT, "cart additions in a day", 0),
    Feature("carts_7d", Dtype.INT, "cart additions in a week", 0),
    Feature("purchases_1h", Dtype.INT, "purchases in an hour", 0),
    Feature("purchases_1d", Dtype.INT, "purchases in a day", 0),
    Feature("purchases_7d", Dtype.INT, "purchases in a week", 0),
    Feature("category_names", Dtype.STRING_LIST, "category", ()),
    Feature("category_weights", Dtype.FLOAT_LIST, "decayed weight", ()),
    Feature("brand_names", Dtype.STRING_LIST, "brand", ()),
    Feature("brand_weights", Dtype.FLOAT_LIST, "decayed weight", ()),
    Feature("event_count", Dtype.INT, "interactions since the beginning", 0),
    Feature("last_event_ms", Dtype.INT, "ms since the epoch", 0),
)

ITEM_FEATURES: tuple[Feature, ...] = (
    Feature("impressions_7d", Dtype.INT, "impressions in a week", 0),
    Feature("views_1h", Dtype.INT, "views in an hour", 0),
    Feature("views_1d", Dtype.INT, "views in a day", 0),
    Feature("views_7d", Dtype.INT, "views in a week", 0),
    Feature("clicks_1h", Dtype.INT, "clicks in an hour", 0),
    Feature("clicks_1d", Dtype.INT, "clicks in a day", 0),
    Feature("clicks_7d", Dtype.INT, "clicks in a week", 0),
    Feature("carts_1h", Dtype.INT, "cart additions in an hour", 0),
    Feature("carts_1d", Dtype.INT, "cart additions in a day", 0),
    Feature("carts_7d", Dtype.INT, "cart additions in a week", 0),
    Feature("purchases_1h", Dtype.INT, "purchases in an hour", 0),
    Feature("purchases_1d", Dtype.INT, "purchases in a day", 0),
    Feature("purchases_7d", Dtype.INT, "purchases in a week", 0),
    Feature("click_rate_7d", Dtype.FLOAT, "clicks an impression", 0.0),
    Feature("cart_rate_7d", Dtype.FLOAT, "cart additions an impression", 0.0),
    Feature("purchase_rate_7d", Dtype.FLOAT, "purchases an impression", 0.0),
    Feature("trend_score", Dtype.FLOAT, "decayed interactions", 0.0),
    Feature("co_visit_items", Dtype.STRING_LIST, "item id", ()),
    Feature("co_visit_weights", Dtype.FLOAT_LIST, "decayed co-visits", ()),
    Feature("last_event_ms", Dtype.INT, "ms since the epoch", 0),
)
