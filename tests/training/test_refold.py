"""Rows as of a time, folded again from the archive: what was before it and nothing later, in the log's order."""

from datetime import timedelta
from pathlib import Path

import pytest

from contracts.catalogue import Item
from contracts.clock import to_ms
from contracts.events import Impression, Interaction, ItemDeleted, ItemUpserted
from contracts.features import ItemFeatures, UserFeatures
from contracts.ids import ItemId, UserId
from contracts.ports import LoggedMessage
from contracts.settings import Settings
from contracts.topics import ITEMS
from contracts.wire import encode
from feature_repo.archive import ArchiveWriter
from feature_repo.archive_rows import catalogue_row, event_row
from streams.state import item_features, user_features
from streams.state.admission import Place
from streams.state.item_features import ItemFeatureState
from streams.state.user_state import UserState, step
from tests.streams.shop import ANN, NOON, RULES, at, click, impression, logged, ms, purchase, search, view
from training.data.archived_log import archive_join
from training.data.feature_join import FeatureRows, Wanted, joined

BOB = UserId("bob")


class Archived:
    """An archive that events and items are put in, and the join over it."""

    def __init__(self, directory: Path) -> None:
        self.settings = Settings(state_dir=directory)
        self._offset = 0

    def put(self, *events: Interaction | Impression, partition: int = 0, placed: bool = True) -> None:
        writer = ArchiveWriter(self.settings.archive_dir, "events")
        for event in events:
            message = logged(event, self._offset, partition) if placed else None
            writer.append([event_row(event, message)])
            self._offset += 1
        writer.flush()

    def put_items(self, *events: ItemUpserted | ItemDeleted) -> None:
        writer = ArchiveWriter(self.settings.archive_dir, "items")
        for offset, event in enumerate(events):
            writer.append([catalogue_row(event, LoggedMessage(ITEMS.name, 0, offset, None, encode(event)))])
        writer.flush()

    def rows(self, users: tuple[tuple[str, float], ...] = (), items: tuple[tuple[str, float], ...] = ()) -> FeatureRows:
        wanted = Wanted(
            tuple((UserId(user), ms(minutes)) for user, minutes in users),
            tuple((ItemId(item), ms(minutes)) for item, minutes in items),
        )
        return archive_join(self.settings)(wanted)

    def users(self, *minutes: float, user: str = ANN) -> list[UserFeatures | None]:
        return list(self.rows(users=tuple((user, one) for one in minutes)).users)

    def items(self, item: str, *minutes: float) -> list[ItemFeatures | None]:
        return list(self.rows(items=tuple((item, one) for one in minutes)).items)


@pytest.fixture
def archived(tmp_path: Path) -> Archived:
    return Archived(tmp_path)


def streams_rows(*events: Interaction | Impression) -> tuple[UserFeatures, dict[str, ItemFeatures]]:
    """The rows that the streams end with when they fold these events in this order, without a catalogue."""
    user, items = UserState(), {}
    for offset, event in enumerate(events):
        one = step(user, event, None, Place(0, offset), RULES)
        user = one.state
        for item_id, touch in one.touches:
            items[item_id], _ = item_features.fold(items.get(item_id, ItemFeatureState()), touch, RULES)
    rows = {item: item_features.row(state, state.last_event_ms, RULES) for item, state in items.items()}
    return user_features.row(user.features, RULES), rows


def test_a_row_has_the_events_before_its_time_and_not_the_one_at_it(archived: Archived) -> None:
    archived.put(view("a", 0), click("a", 1), click("b", 2))
    counts = [row and row.event_count for row in archived.users(0, 0.5, 1, 2, 3)]
    assert counts == [None, 1, 1, 2, 3]
    clicks = [row and row.clicks_7d for row in archived.items("a", 0, 1, 1.5)]
    assert clicks == [None, 0, 1]


def test_rows_are_those_that_the_streams_would_have_folded(archived: Archived) -> None:
    events = [
        view("a", 0),
        impression("r", 1, "a", "b"),
        click("b", 2),
        search(3),
        purchase("b", 4),
        purchase("b", 5, -1),
    ]
    archived.put(*events, click("c", 60))
    user, items = streams_rows(*events)
    found = archived.rows(users=((ANN, 59),), items=(("a", 59), ("b", 59), ("c", 59)))
    assert found == FeatureRows((user,), (items["a"], items["b"], None))


def test_a_row_is_as_of_its_newest_event_however_late_it_is_wanted(archived: Archived) -> None:
    archived.put(view("a", 0), click("a", 1))
    days_later = 60 * 24 * 30
    assert archived.users(2) == archived.users(days_later)
    assert archived.items("a", 2) == archived.items("a", days_later)


def test_who_has_only_seen_impressions_has_no_row_and_who_has_searched_has_one(archived: Archived) -> None:
    archived.put(impression("r", 0, "a"), search(2))
    assert [row and row.event_count for row in archived.users(1, 3)] == [None, 1]


def test_a_late_event_is_in_the_row_of_a_later_time_and_of_no_earlier_one(archived: Archived) -> None:
    archived.put(view("a", 0), view("c", 30), click("b", 10))
    rows = archived.users(5, 20, 31)
    assert [row and row.recent_items for row in rows] == [("a",), ("a", "b"), ("a", "b", "c")]


def test_a_late_event_has_the_neighbours_that_the_log_held_before_it(archived: Archived) -> None:
    events = [view("a", 0), view("c", 2), click("b", 1)]
    archived.put(*events)
    user, items = streams_rows(*events)
    found = archived.rows(users=((ANN, 3),), items=(("a", 3), ("b", 3), ("c", 3)))
    assert found == FeatureRows((user,), (items["a"], items["b"], items["c"]))
    assert items["c"].co_visit_items == ("a",)  # the log held no b when c was folded


def test_an_event_that_stands_twice_in_the_log_counts_once_and_where_it_came_first(archived: Archived) -> None:
    twice = purchase("a", 0)
    archived.put(twice, purchase("b", 0.5))
    archived.put(twice)
    (row,) = archived.users(2)
    assert row is not None
    assert (row.event_count, row.purchased_items) == (2, ("a", "b"))


def test_rows_archived_without_a_place_come_before_those_with_one_in_the_order_of_time(archived: Archived) -> None:
    archived.put(purchase("b", 1), purchase("a", 0), placed=False)
    archived.put(purchase("c", 2))
    (row,) = archived.users(3)
    assert row is not None
    assert row.purchased_items == ("a", "b", "c")


def test_a_user_whose_events_stand_in_two_partitions_is_folded_by_time_across_and_by_place_within(
    archived: Archived,
) -> None:
    archived.put(purchase("d", 3), partition=0)
    archived.put(purchase("b", 1), purchase("a", 0), purchase("c", 2), partition=3)
    (row,) = archived.users(4)
    assert row is not None
    assert row.purchased_items == ("b", "a", "c", "d")


def test_touches_of_several_users_reach_an_item_whichever_partition_they_came_by(archived: Archived) -> None:
    others = [view("a", minute).model_copy(update={"user_id": BOB, "event_id": f"bob-{minute}"}) for minute in (2, 0.5)]
    archived.put(view("a", 1), view("a", 3), partition=0)
    archived.put(*others, partition=0)
    assert [row and row.views_7d for row in archived.items("a", 0.6, 1.5, 2.5, 4)] == [1, 2, 3, 4]


def upserted(item: str, category: str, minutes: float) -> ItemUpserted:
    return ItemUpserted(at=at(minutes), item=Item(item_id=ItemId(item), title=item, category=category))


def categories(archived: Archived, minutes: float) -> tuple[str, ...]:
    (row,) = archived.users(minutes)
    assert row is not None
    return tuple(sorted(row.category_names))


def test_an_affinity_has_the_category_of_the_catalogue_then(archived: Archived) -> None:
    archived.put_items(upserted("a", "tea", -10), upserted("a", "coffee", 1))
    archived.put(click("a", 0), click("a", 2), click("unknown", 3))
    assert categories(archived, 1) == ("tea",)
    assert categories(archived, 4) == ("coffee", "tea")


def test_a_replayed_event_from_before_the_catalogue_has_the_items_first_category(archived: Archived) -> None:
    archived.put_items(upserted("a", "tea", 600), upserted("a", "coffee", 700))
    archived.put(click("a", 0))
    assert categories(archived, 1) == ("tea",)


def test_a_deleted_item_keeps_its_category(archived: Archived) -> None:
    archived.put_items(upserted("a", "tea", -10), ItemDeleted(at=at(-5), item_id=ItemId("a")))
    archived.put(click("a", 0))
    assert categories(archived, 1) == ("tea",)


def test_the_rules_are_those_of_the_settings(tmp_path: Path) -> None:
    archived = Archived(tmp_path)
    archived.put(view("a", 0), view("b", 10))
    short = archived.settings.model_copy(update={"session_gap_s": 300})
    wanted = Wanted(users=((ANN, ms(11)),))
    sessions = [archive_join(settings)(wanted).users[0] for settings in (archived.settings, short)]
    assert [row and row.session_items for row in sessions] == [("a", "b"), ("b",)]


def test_an_empty_archive_has_no_rows(archived: Archived) -> None:
    assert archived.rows(users=((ANN, 1),), items=(("a", 1),)) == FeatureRows((None,), (None,))
    assert archived.rows() == FeatureRows()


def test_askers_that_join_together_get_their_own_rows(archived: Archived) -> None:
    archived.put(view("a", 0), click("b", 1))
    asked = [
        Wanted(users=((ANN, ms(2)),), items=((ItemId("a"), ms(2)),)),
        Wanted(),
        Wanted(items=((ItemId("b"), ms(2)), (ItemId("a"), ms(0)))),
    ]
    join = archive_join(archived.settings)
    assert joined(join, asked) == [join(wanted) for wanted in asked]


def test_a_day_boundary_is_no_boundary(archived: Archived) -> None:
    midnight = (NOON + timedelta(hours=12) - NOON) / timedelta(minutes=1)
    archived.put(view("a", midnight - 1), view("b", midnight + 1))
    assert [row and row.event_count for row in archived.users(midnight, midnight + 1, midnight + 2)] == [1, 1, 2]
    assert to_ms(at(midnight)) % 86_400_000 == 0
