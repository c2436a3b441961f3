"""What every feature store does."""

import threading
from datetime import UTC, datetime, timedelta

from contracts.features import ItemFeatures, UserFeatures
from contracts.ids import ItemId, UserId
from contracts.ports import FeatureStore

NOON = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
USER, OTHER = UserId("u-1"), UserId("u-2")
ITEM = ItemId("i-1")
FULL_USER = UserFeatures(
    recent_items=("i-1", "i-2"), recent_kinds=("view", "click"), recent_times_ms=(1, 2),
    recent_event_ids=("e-1", "e-2"), purchased_items=("i-9",), session_items=("i-1",), session_started_ms=1,
    views_1h=1, clicks_7d=3, category_names=("shoes", "hats"), category_weights=(0.75, 0.25),
    event_count=4, last_event_ms=2,
)  # fmt: skip
FULL_ITEM = ItemFeatures(views_1h=2, click_rate_7d=0.125, co_visit_items=("i-2",), co_visit_weights=(1.5,))


class FeatureStoreSuite:
    """Subclasses give the fixture `store`, empty for each test."""

    def test_a_user_never_written_reads_as_none(self, store: FeatureStore) -> None:
        assert store.read_user(UserId("nobody")) is None

    def test_an_item_never_written_reads_as_none(self, store: FeatureStore) -> None:
        assert store.read_item(ItemId("nothing")) is None

    def test_a_row_comes_back_as_it_was_written(self, store: FeatureStore) -> None:
        store.write_users({USER: (NOON, FULL_USER)})
        store.write_items({ITEM: (NOON, FULL_ITEM)})
        assert store.read_user(USER) == FULL_USER
        assert store.read_item(ITEM) == FULL_ITEM

    def test_a_row_of_defaults_is_a_row_and_not_none(self, store: FeatureStore) -> None:
        store.write_users({USER: (NOON, UserFeatures())})
        assert store.read_user(USER) == UserFeatures()

    def test_a_newer_row_replaces_an_older(self, store: FeatureStore) -> None:
        store.write_users({USER: (NOON, FULL_USER)})
        store.write_users({USER: (NOON + timedelta(microseconds=1), UserFeatures(event_count=5))})
        assert store.read_user(USER) == UserFeatures(event_count=5)

    def test_an_older_row_never_overwrites_a_newer_even_within_a_millisecond(self, store: FeatureStore) -> None:
        store.write_users({USER: (NOON, FULL_USER)})
        store.write_users({USER: (NOON - timedelta(microseconds=1), UserFeatures(event_count=3))})
        assert store.read_user(USER) == FULL_USER

    def test_of_two_rows_of_one_time_the_later_written_stays(self, store: FeatureStore) -> None:
        store.write_users({USER: (NOON, UserFeatures(event_count=1))})
        store.write_users({USER: (NOON, UserFeatures(event_count=2))})
        assert store.read_user(USER) == UserFeatures(event_count=2)

    def test_one_stale_row_of_a_batch_does_not_hold_back_the_others(self, store: FeatureStore) -> None:
        store.write_items({ITEM: (NOON, FULL_ITEM)})
        store.write_items(
            {ITEM: (NOON - timedelta(days=1), ItemFeatures()), ItemId("i-2"): (NOON, ItemFeatures(views_1h=7))}
        )
        assert store.read_item(ITEM) == FULL_ITEM
        assert store.read_item(ItemId("i-2")) == ItemFeatures(views_1h=7)

    def test_a_mark_is_there_once_it_is_written_and_not_before(self, store: FeatureStore) -> None:
        names = ["users/0", "users/1", "items/0"]
        assert store.read_marks(names) == frozenset()
        store.write_mark("users/1")
        store.write_mark("items/0")
        store.write_mark("items/0")
        assert store.read_marks(names) == {"users/1", "items/0"}
        assert store.read_marks(["users/0"]) == frozenset()
        assert store.read_marks([]) == frozenset()

    def test_a_mark_is_no_row_of_a_user_with_its_name(self, store: FeatureStore) -> None:
        store.write_mark("users/0")
        assert store.read_user(UserId("users/0")) is None
        store.write_users({UserId("users/1"): (NOON, FULL_USER)})
        assert store.read_marks(["users/1"]) == frozenset()

    def test_a_deleted_row_reads_as_none_and_the_others_stay(self, store: FeatureStore) -> None:
        store.write_mark("users/0")
        store.write_users({USER: (NOON, FULL_USER), OTHER: (NOON, UserFeatures(event_count=2))})
        store.write_items({ITEM: (NOON, FULL_ITEM), ItemId("i-2"): (NOON, ItemFeatures(views_1h=7))})
        store.delete_users([USER, UserId("nobody")])
        store.delete_items([ITEM, ItemId("nothing")])
        assert (store.read_user(USER), store.read_item(ITEM)) == (None, None)
        assert store.read_user(OTHER) == UserFeatures(event_count=2)
        assert store.read_item(ItemId("i-2")) == ItemFeatures(views_1h=7)
        assert store.read_marks(["users/0"]) == {"users/0"}

    def test_a_deleted_row_may_come_back_with_an_older_time(self, store: FeatureStore) -> None:
        store.write_users({USER: (NOON, FULL_USER)})
        store.delete_users([USER])
        store.write_users({USER: (NOON - timedelta(days=1), UserFeatures(event_count=1))})
        assert store.read_user(USER) == UserFeatures(event_count=1)

    def test_many_rows_are_deleted_at_once(self, store: FeatureStore) -> None:
        rows = {ItemId(f"many-{n}"): (NOON, ItemFeatures(views_1h=1)) for n in range(450)}
        store.write_items(rows)
        store.delete_items(list(rows))
        store.delete_items([])
        assert [item_id for item_id in rows if store.read_item(item_id) is not None] == []

    def test_an_empty_write_is_no_error(self, store: FeatureStore) -> None:
        store.write_users({})

    def test_a_large_batch_is_written_whole(self, store: FeatureStore) -> None:
        rows = {UserId(f"many-{n}"): (NOON, UserFeatures(event_count=n + 1)) for n in range(450)}
        store.write_users(rows)
        assert [store.read_user(user_id) for user_id in rows] == [row for _, row in rows.values()]

    def test_unusual_ids_are_kept_apart(self, store: FeatureStore) -> None:
        odd = [UserId(text) for text in ("a b", "a'b", 'a"b', "ä", "A", "a", "0", "x" * 128)]
        store.write_users({user_id: (NOON, UserFeatures(event_count=n + 1)) for n, user_id in enumerate(odd)})
        assert [row.event_count for user_id in odd if (row := store.read_user(user_id))] == list(range(1, len(odd) + 1))

    def test_threads_read_while_another_writes(self, store: FeatureStore) -> None:
        store.write_users({USER: (NOON, UserFeatures(event_count=1))})
        failures: list[BaseException] = []

        def read() -> None:
            try:
                for _ in range(50):
                    row = store.read_user(USER)
                    assert row is not None
                    assert row.event_count >= 1
            except BaseException as error:  # noqa: BLE001 - reported below
                failures.append(error)

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        for n in range(2, 12):
            store.write_users({USER: (NOON + timedelta(seconds=n), UserFeatures(event_count=n))})
        for reader in readers:
            reader.join()
        assert failures == []
        assert store.read_user(USER) == UserFeatures(event_count=11)
