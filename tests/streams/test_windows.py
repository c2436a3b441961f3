import pytest

from streams.state.decay import Decayed, added, as_of, bounded, strongest
from streams.state.windows import DAY_MS, HOUR_MS, MINUTE_MS, Totals, Windows, counted, totals
from tests.streams.shop import ms


def test_an_event_counts_in_all_three_windows() -> None:
    windows = counted(Windows(), ms(0), ms(0))
    assert totals(windows, ms(0)) == Totals(hour=1, day=1, week=1)


def test_an_event_leaves_the_hour_after_twelve_buckets_of_five_minutes() -> None:
    windows = counted(Windows(), ms(0), ms(0))
    assert totals(windows, ms(11 * 5)).hour == 1
    assert totals(windows, ms(12 * 5)).hour == 0
    assert totals(windows, ms(12 * 5)).day == 1


def test_an_event_leaves_the_day_after_24_hours_and_the_week_after_28_quarters_of_a_day() -> None:
    windows = counted(Windows(), ms(0), ms(0))
    assert totals(windows, ms(0) + 23 * HOUR_MS).day == 1
    assert totals(windows, ms(0) + DAY_MS) == Totals(hour=0, day=0, week=1)
    assert totals(windows, ms(0) + 27 * 6 * HOUR_MS).week == 1
    assert totals(windows, ms(0) + 28 * 6 * HOUR_MS).week == 0


def test_a_late_event_counts_in_its_own_bucket_where_it_is_still_in_the_window() -> None:
    windows = counted(counted(Windows(), ms(0), ms(0)), ms(-30), ms(0))
    assert totals(windows, ms(0)).hour == 1 + 1
    assert totals(windows, ms(40)).hour == 1  # -30 has left, 0 has not


def test_an_event_older_than_a_window_is_counted_in_the_longer_ones_only() -> None:
    windows = counted(Windows(), ms(0) - 2 * DAY_MS, ms(0))
    assert totals(windows, ms(0)) == Totals(hour=0, day=0, week=1)


def test_buckets_that_have_left_are_dropped_from_the_state() -> None:
    windows = Windows()
    for minute in range(0, 600, 5):
        windows = counted(windows, ms(minute), ms(minute))
    assert len(windows.hour) == 12


def test_a_decayed_sum_halves_with_each_half_life() -> None:
    total = added(Decayed(), 4.0, 0, HOUR_MS)
    assert as_of(total, 2 * HOUR_MS, HOUR_MS) == pytest.approx(4.0 / 2 / 2)


def test_a_decayed_sum_does_not_depend_on_the_order_of_its_contributions() -> None:
    forward = added(added(Decayed(), 1.0, 0, HOUR_MS), 3.0, HOUR_MS, HOUR_MS)
    backward = added(added(Decayed(), 3.0, HOUR_MS, HOUR_MS), 1.0, 0, HOUR_MS)
    assert as_of(forward, HOUR_MS, HOUR_MS) == pytest.approx(1.0 / 2 + 3.0)
    assert backward.weight == pytest.approx(forward.weight)


def test_strongest_names_come_first_and_weightless_ones_not_at_all() -> None:
    sums = {"tea": Decayed(2.0, 0), "cup": Decayed(3.0, 0), "rug": Decayed(-1.0, 0)}
    assert strongest(sums, 0, MINUTE_MS, 8) == [("cup", 3.0), ("tea", 2.0)]


def test_too_many_names_are_cut_to_the_half_that_weighs_most() -> None:
    sums = {f"n{weight}": Decayed(float(weight), 0) for weight in range(1, 10)}
    assert sorted(bounded(sums, 0, MINUTE_MS, limit=8)) == ["n6", "n7", "n8", "n9"]
    assert bounded(sums, 0, MINUTE_MS, limit=9) is sums
