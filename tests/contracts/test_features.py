"""The feature tables and their typed rows are one definition."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import InvalidMessage
from contracts.features import ITEM_FEATURES, USER_FEATURES, Dtype, Feature, ItemFeatures, UserFeatures

TABLES = [(UserFeatures, USER_FEATURES), (ItemFeatures, ITEM_FEATURES)]
PYTHON_TYPES = {
    Dtype.INT: int, Dtype.FLOAT: float, Dtype.STRING: str,
    Dtype.INT_LIST: tuple, Dtype.FLOAT_LIST: tuple, Dtype.STRING_LIST: tuple,
}  # fmt: skip


@pytest.mark.parametrize(("row", "table"), TABLES)
def test_a_rows_fields_are_its_tables_names_in_order_with_its_defaults(
    row: type[UserFeatures] | type[ItemFeatures], table: tuple[Feature, ...]
) -> None:
    assert [(field.name, field.default) for field in fields(row)] == [(f.name, f.default) for f in table]


@pytest.mark.parametrize(("row", "table"), TABLES)
def test_a_default_has_its_features_type(
    row: type[UserFeatures] | type[ItemFeatures], table: tuple[Feature, ...]
) -> None:
    assert [type(feature.default) for feature in table] == [PYTHON_TYPES[feature.dtype] for feature in table]
    assert all(feature.unit for feature in table)


@given(
    liked=st.lists(st.tuples(st.text(), st.floats(allow_nan=False, allow_infinity=False)), max_size=5),
    count=st.integers(0, 2**62),
)
def test_a_row_survives_its_plain_values(liked: list[tuple[str, float]], count: int) -> None:
    names, weights = tuple(name for name, _ in liked), tuple(weight for _, weight in liked)
    row = UserFeatures(category_names=names, category_weights=weights, event_count=count)
    assert UserFeatures.from_values(row.to_values()) == row


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"co_visit_items": ["a", "b"], "co_visit_weights": [1.0]}, r'{"co_visit_items":2,"co_visit_weights":1}'),
        ({"trend_score": float("nan")}, "field trend_score: found null; expected a finite number"),
        ({"trend_score": "high"}, 'field trend_score: found "high"; expected a finite number'),
        ({"co_visit_items": "a"}, 'field co_visit_items: found "a"; expected a list'),
        ({"co_visit_items": ["a"], "co_visit_weights": [float("inf")]}, "field co_visit_weights: found"),
        ({"last_event_ms": 1.5}, "field last_event_ms: found 1.5; expected an integer"),
    ],
)
def test_a_row_that_the_streams_cannot_have_written_is_refused(values: dict[str, object], told: str) -> None:
    with pytest.raises(InvalidMessage, match=told):
        ItemFeatures.from_values(values)


def test_missing_and_none_values_take_their_defaults_and_unknown_ones_are_ignored() -> None:
    assert UserFeatures.from_values({"event_count": None, "as_of_us": 5}) == UserFeatures()


def test_the_newest_interactions_time_is_known_only_where_there_is_one() -> None:
    assert UserFeatures().last_event_at() is None
    at = UserFeatures(last_event_ms=1_500).last_event_at()
    assert at is not None
    assert at.timestamp() == 1.5
