import pytest

from contracts.events import EventKind
from contracts.features import CO_VISIT_LENGTH
from contracts.ids import EventId, ItemId
from contracts.interactions import ItemTouch
from streams.state.admission import Outcome
from streams.state.item_features import CO_VISITS_KEPT, ItemFeatureState, fold, row, smoothed_rate
from tests.streams.shop import RULES, at, ms


def touch(kind: EventKind, minutes: float, offset: int, *neighbours: str, quantity: int = 1) -> ItemTouch:
    return ItemTouch(
        event_id=EventId(f"e{offset}"), source_partition=0, source_offset=offset, kind=kind, at=at(minutes),
        quantity=quantity, neighbours=tuple(ItemId(item) for item in neighbours),
    )  # fmt: skip


def folded(*touches: ItemTouch) -> ItemFeatureState:
    state = ItemFeatureState()
    for one in touches:
        state, _ = fold(state, one, RULES)
    return state


def test_touches_are_counted_by_kind_and_window() -> None:
    state = folded(touch(EventKind.VIEW, -90, 0), touch(EventKind.VIEW, 0, 1), touch(EventKind.PURCHASE, 0, 2))
    found = row(state, ms(0), RULES)
    assert (found.views_1h, found.views_1d, found.purchases_1h) == (1, 2, 1)


def test_a_redelivered_touch_leaves_the_state_as_it_is() -> None:
    state = folded(touch(EventKind.VIEW, 0, 0), touch(EventKind.CLICK, 1, 1))
    again, outcome = fold(state, touch(EventKind.VIEW, 0, 0), RULES)
    assert outcome is Outcome.REDELIVERED
    assert again is state


def test_rates_start_at_the_prior_and_move_with_what_is_seen() -> None:
    assert smoothed_rate(EventKind.CLICK, 0, 0) == pytest.approx(0.05)
    assert smoothed_rate(EventKind.CLICK, 9, 80) == pytest.approx((9 + 0.05 * 20) / (80 + 20))
    assert smoothed_rate(EventKind.CLICK, 500, 10) == 1.0


def test_the_trend_halves_with_its_half_life() -> None:
    later = ms(0) + RULES.trend_half_life_ms
    state = folded(touch(EventKind.PURCHASE, 0, 0))
    assert row(state, later, RULES).trend_score == pytest.approx(5.0 / 2)


def test_co_visits_come_heaviest_first() -> None:
    state = folded(touch(EventKind.VIEW, 0, 0, "b"), touch(EventKind.VIEW, 0, 1, "b", "c"))
    found = row(state, ms(0), RULES)
    assert (found.co_visit_items, found.co_visit_weights) == (("b", "c"), (1.0 + 1.0, 1.0))


def test_co_visits_are_bounded_in_the_state_and_in_the_row() -> None:
    state = folded(*(touch(EventKind.VIEW, 0, number, f"n{number}") for number in range(3 * CO_VISITS_KEPT)))
    assert len(state.co_visits) <= CO_VISITS_KEPT
    assert len(row(state, ms(0), RULES).co_visit_items) == CO_VISIT_LENGTH


def test_a_cancelled_purchase_adds_neither_count_nor_trend() -> None:
    found = row(folded(touch(EventKind.PURCHASE, 0, 0, quantity=-1)), ms(0), RULES)
    assert (found.purchases_7d, found.trend_score) == (0, 0.0)


def test_impressions_count_in_the_week_and_make_no_trend() -> None:
    found = row(folded(touch(EventKind.IMPRESSION, 0, 0)), ms(0), RULES)
    assert (found.impressions_7d, found.trend_score) == (1, 0.0)
    assert found.click_rate_7d == pytest.approx((0 + 0.05 * 20) / (1 + 20))
