"""Feast's feature views, generated from the feature tables of `contracts.features`.

Each view has one field that is no feature: `AS_OF_US`, the row's event time in microseconds. Feast's SQLite store keeps
whole seconds, too coarse to tell which of two rows is older. The streams write the rows of a view online.
"""

from collections.abc import Sequence
from datetime import timedelta

from contracts.features import ITEM_FEATURES, USER_FEATURES, Dtype, Feature
from feature_repo.engine import Array, Entity, FeastType, FeatureView, Field, Float64, Int64, String
from feature_repo.entities import ITEM, USER
from feature_repo.sources import unread_source

USER_VIEW = "user_features"
ITEM_VIEW = "item_features"
AS_OF_US = "as_of_us"

FEAST_TYPES: dict[Dtype, FeastType] = {
    Dtype.INT: Int64,
    Dtype.FLOAT: Float64,
    Dtype.STRING: String,
    Dtype.INT_LIST: Array(Int64),
    Dtype.FLOAT_LIST: Array(Float64),
    Dtype.STRING_LIST: Array(String),
}


def user_view() -> FeatureView:
    """The view of one row a user."""
    return _view(USER_VIEW, USER, USER_FEATURES)


def item_view() -> FeatureView:
    """The view of one row an item."""
    return _view(ITEM_VIEW, ITEM, ITEM_FEATURES)


def _view(name: str, entity: Entity, features: Sequence[Feature]) -> FeatureView:
    schema = [Field(name=entity.join_key, dtype=String)]
    schema += [
        Field(name=feature.name, dtype=FEAST_TYPES[feature.dtype], description=feature.unit) for feature in features
    ]
    schema.append(Field(name=AS_OF_US, dtype=Int64, description="event time of the row, microseconds since the epoch"))
    return FeatureView(
        name=name,
        entities=[entity],
        schema=schema,
        source=unread_source(name),
        ttl=timedelta(0),
        online=True,
    )
