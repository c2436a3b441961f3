"""The point-in-time join: every entity row, with what was known at its time and nothing later."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from contracts.features import ITEM_FEATURES, USER_FEATURES, ItemFeatures, UserFeatures
from contracts.ids import ItemId, UserId
from contracts.settings import Settings
from feature_repo.archive import ArchiveWriter
from feature_repo.archive_rows import item_features_row, user_features_row
from feature_repo.historical import point_in_time
from feature_repo.store_config import apply

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def archived(local_settings: Settings) -> Settings:
    """User u-1 with event counts 1, 2, 3 at hours 0, 1, 48 (another day); item i-1 with 10 views at hour 0."""
    apply(local_settings)
    users = ArchiveWriter(local_settings.archive_dir, "user_features")
    for count, hour in ((1, 0), (2, 1), (3, 48)):
        at = NOON + hour * HOUR
        row = UserFeatures(event_count=count, recent_items=tuple(f"i-{n}" for n in range(count)))
        users.append([user_features_row(UserId("u-1"), at, row, at)])
    users.flush()
    items = ArchiveWriter(local_settings.archive_dir, "item_features")
    items.append([item_features_row(ItemId("i-1"), NOON, ItemFeatures(views_1h=10, click_rate_7d=0.5), NOON)])
    items.flush()
    return local_settings


def joined(settings: Settings, *rows: tuple[str, str, datetime]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "event_timestamp"])
    return point_in_time(settings, frame)


def test_a_row_sees_what_was_known_at_its_time_and_nothing_later(archived: Settings) -> None:
    times = [NOON, NOON + HOUR / 2, NOON + HOUR, NOON + 47 * HOUR, NOON + 49 * HOUR]
    answer = joined(archived, *(("u-1", "i-1", at) for at in times))
    assert answer["user_features__event_count"].tolist() == [1, 1, 2, 2, 3]
    assert [list(items) for items in answer["user_features__recent_items"]][-1] == ["i-0", "i-1", "i-2"]
    assert answer["item_features__views_1h"].tolist() == [10] * 5


def test_before_anything_was_known_features_have_their_defaults(archived: Settings) -> None:
    answer = joined(archived, ("u-1", "i-1", NOON - HOUR))
    assert answer["user_features__event_count"].tolist() == [0]
    assert [list(items) for items in answer["user_features__recent_items"]] == [[]]
    assert answer["item_features__click_rate_7d"].tolist() == [0.0]


def test_every_entity_row_is_kept_in_its_order_unknown_ones_and_doubles_too(archived: Settings) -> None:
    rows = [
        ("u-9", "i-9", NOON), ("u-1", "i-1", NOON + HOUR), ("u-1", "i-9", NOON), ("u-1", "i-1", NOON + HOUR),
        ("u-9", "i-1", NOON),
    ]  # fmt: skip
    answer = joined(archived, *rows)
    assert list(zip(answer["user_id"], answer["item_id"], strict=True)) == [(user, item) for user, item, _ in rows]
    assert answer["user_features__event_count"].tolist() == [0, 2, 1, 2, 0]
    assert answer["item_features__views_1h"].tolist() == [0, 10, 0, 10, 10]


def test_of_two_rows_of_one_time_the_later_written_is_joined(archived: Settings) -> None:
    writer = ArchiveWriter(archived.archive_dir, "user_features")
    for event_count, created in ((8, NOON + 2 * HOUR), (7, NOON + HOUR)):
        writer.append([user_features_row(UserId("u-2"), NOON, UserFeatures(event_count=event_count), created)])
    writer.flush()
    assert joined(archived, ("u-2", "i-1", NOON + 3 * HOUR))["user_features__event_count"].tolist() == [8]


def test_other_columns_and_the_index_stay(archived: Settings) -> None:
    frame = pd.DataFrame(
        {"user_id": ["u-1"], "item_id": ["i-1"], "event_timestamp": [NOON], "label": [1]}, index=pd.Index([41])
    )
    answer = point_in_time(archived, frame)
    assert answer.index.tolist() == [41]
    assert answer["label"].tolist() == [1]
    assert len(answer.columns) == 4 + len(USER_FEATURES) + len(ITEM_FEATURES)


def test_no_entity_rows_give_no_rows_with_all_columns(archived: Settings) -> None:
    answer = joined(archived)
    assert len(answer) == 0
    assert len(answer.columns) == 3 + len(USER_FEATURES) + len(ITEM_FEATURES)


def test_an_archive_without_any_row_joins_defaults(local_settings: Settings) -> None:
    apply(local_settings)
    assert joined(local_settings, ("u-1", "i-1", NOON))["user_features__event_count"].tolist() == [0]
