import pytest

from contracts.errors import FeaturesUnavailable
from contracts.features import UserFeatures
from streams.feature_writer import Offer
from tests.streams.doubles import Rig
from tests.streams.shop import ANN, at


def offer(minutes: float, count: int) -> Offer[UserFeatures]:
    return Offer(at(minutes), lambda: UserFeatures(event_count=count))


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
    assert len(rig.archive.rows) == 1


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
    rig.user_rows.offer(ANN, Offer(at(0), lambda: UserFeatures(event_count=7), ("e1",)))  # type: ignore[arg-type]
    assert rig.user_rows.flush(traced_only=True) == 1
    assert rig.store.read_user(ANN) == UserFeatures(event_count=7)


def test_the_thread_writes_what_is_offered_and_what_waits_when_it_stops() -> None:
    rig = Rig()
    rig.user_rows.start()
    rig.user_rows.offer(ANN, offer(0, 1))
    rig.user_rows.stop()
    assert rig.store.read_user(ANN) == UserFeatures(event_count=1)
