import pytest

from contracts.errors import FeaturesUnavailable
from contracts.features import UserFeatures
from contracts.ids import EventId
from streams.feature_writer import Offer
from tests.streams.doubles import Rig
from tests.streams.shop import ANN, at


def offer(minutes: float, count: int, offset: int = 0, *traced: str) -> Offer[UserFeatures]:
    row = UserFeatures(event_count=count)
    return Offer(at(minutes), lambda: row, offset=offset, traced=tuple(EventId(one) for one in traced))


def test_rows_wait_while_the_store_is_away_and_the_newest_is_written_when_it_is_back() -> None:
    rig = Rig()
    rig.store.available = False
    rig.user_rows.offer(ANN, offer(0, 1))
    with pytest.raises(FeaturesUnavailable):
        rig.user_rows.flush()
    rig.user_rows.offer(ANN, offer(1, 2))
    rig.store.available = True
    assert rig.user_rows.flush() == 1
    assert rig.store.read_user(ANN) == UserFeatures(event_count=2)


def test_an_older_row_never_replaces_a_newer_one_that_waits() -> None:
    rig = Rig()
    rig.user_rows.offer(ANN, offer(1, 2))
    rig.user_rows.restore(ANN, offer(0, 1))
    rig.user_rows.flush()
    assert rig.store.read_user(ANN) == UserFeatures(event_count=2)
    assert rig.user_rows.flush() == 0


def test_a_row_with_a_traced_event_goes_before_the_others() -> None:
    rig = Rig()
    rig.user_rows.offer("bob", offer(0, 1))
    rig.user_rows.offer(ANN, offer(0, 7, 0, "e1"))
    assert rig.user_rows.flush(traced_only=True) == 1
    assert rig.store.read_user(ANN) == UserFeatures(event_count=7)


def test_the_thread_writes_what_is_offered_and_what_waits_when_it_stops() -> None:
    rig = Rig()
    rig.user_rows.start()
    rig.user_rows.offer(ANN, offer(0, 1))
    rig.user_rows.stop()
    assert rig.store.read_user(ANN) == UserFeatures(event_count=1)


def test_the_lowest_offset_whose_row_is_not_written_is_held() -> None:
    rig = Rig()
    assert rig.user_rows.held(0) is None
    rig.user_rows.offer("bob", offer(0, 1, 5))
    rig.user_rows.offer(ANN, offer(0, 1, 7))
    rig.user_rows.offer("bob", offer(1, 2, 9))
    assert rig.user_rows.held(0) == 5
    assert rig.user_rows.held(1) is None
    rig.user_rows.flush()
    assert rig.user_rows.held(0) is None


def test_a_failed_write_of_a_traced_row_holds_the_offset_of_the_older_row_that_waits() -> None:
    rig = Rig()
    rig.user_rows.offer("bob", offer(0, 1, 5))
    rig.user_rows.offer(ANN, offer(0, 1, 7, "e1"))
    rig.store.available = False
    with pytest.raises(FeaturesUnavailable):
        rig.user_rows.flush(traced_only=True)
    assert rig.user_rows.held(0) == 5
    rig.store.available = True
    assert rig.user_rows.flush() == 2


def test_a_row_of_the_past_holds_no_offset_and_counts_as_restoring_until_it_is_written() -> None:
    rig = Rig()
    rig.user_rows.restore(ANN, offer(0, 1))
    assert (rig.user_rows.held(0), rig.user_rows.restoring(0)) == (None, 1)
    during: list[int] = []
    write = rig.store.write_users

    def watched(rows) -> None:  # type: ignore[no-untyped-def]
        during.append(rig.user_rows.restoring(0))
        write(rows)

    rig.store.write_users = watched  # type: ignore[method-assign]
    rig.user_rows.flush()
    assert during == [1]
    assert rig.user_rows.restoring(0) == 0


def test_rows_of_a_partition_given_away_are_not_written() -> None:
    rig = Rig()
    rig.user_rows.offer(ANN, offer(0, 1))
    rig.user_rows.restore("bob", offer(0, 1))
    rig.user_rows.drop(0)
    assert rig.user_rows.flush() == 0
    assert rig.store.read_user(ANN) is None
