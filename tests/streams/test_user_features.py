import pytest

from contracts.events import Impression, Interaction
from contracts.features import HISTORY_LENGTH, UserFeatures
from streams.state.admission import RING_LENGTH, Outcome
from streams.state.user_features import Attributes, UserFeatureState, fold, row
from tests.streams.shop import RULES, cart, click, impression, ms, place, purchase, rating, search, view

TEA = Attributes(category="tea", brand="leaf")


def folded(*events: Interaction | Impression, attributes: Attributes | None = TEA) -> UserFeatureState:
    state = UserFeatureState()
    for offset, event in enumerate(events):
        state, _ = fold(state, event, attributes, place(offset), RULES)
    return state


def features(*events: Interaction | Impression, attributes: Attributes | None = TEA) -> UserFeatures:
    return row(folded(*events, attributes=attributes), RULES)


def test_recent_interactions_are_aligned_and_oldest_first_whatever_order_they_came_in() -> None:
    found = features(click("b", 2), view("a", 1), cart("c", 3))
    assert found.recent_items == ("a", "b", "c")
    assert found.recent_kinds == ("view", "click", "add_to_cart")
    assert found.recent_times_ms == (ms(1), ms(2), ms(3))
    assert found.recent_event_ids == ("view-a-1", "click-b-2", "cart-c-3")
    assert found.last_event_ms == ms(3)


def test_only_the_newest_interactions_are_kept() -> None:
    found = features(*(view(f"i{minute}", minute) for minute in range(HISTORY_LENGTH + 3)))
    assert len(found.recent_items) == HISTORY_LENGTH
    assert found.recent_items[0] == "i3"
    assert found.event_count == HISTORY_LENGTH + 3


def test_kinds_are_counted_apart() -> None:
    found = features(view("a", 0), view("b", 1), click("a", 2), cart("a", 3), purchase("a", 4))
    assert (found.views_1h, found.clicks_1h, found.carts_1h, found.purchases_1h) == (2, 1, 1, 1)
    assert (found.views_7d, found.clicks_1d) == (2, 1)


def test_a_duplicate_click_is_counted_once() -> None:
    state, first = fold(UserFeatureState(), click("a", 0), TEA, place(0), RULES)
    state, second = fold(state, click("a", 0), TEA, place(7), RULES)
    assert (first, second) == (Outcome.COUNTED, Outcome.DUPLICATE)
    assert row(state, RULES).clicks_1h == 1


def test_a_redelivered_event_leaves_the_state_equal() -> None:
    state = folded(view("a", 0), click("a", 1))
    again, outcome = fold(state, view("a", 0), TEA, place(0), RULES)
    assert outcome is Outcome.REDELIVERED
    assert again is state


def test_a_redelivery_longer_than_the_ring_is_still_recognised() -> None:
    events = [view(f"i{number}", number) for number in range(RING_LENGTH + 10)]
    state = folded(*events)
    for offset, event in enumerate(events):
        state, outcome = fold(state, event, TEA, place(offset), RULES)
        assert outcome is Outcome.REDELIVERED


def test_an_event_much_older_than_the_newest_is_late_and_still_counts() -> None:
    state = folded(view("a", 0))
    state, outcome = fold(state, view("b", -6), TEA, place(1), RULES)
    assert outcome is Outcome.LATE
    assert row(state, RULES).views_1h == 2
    assert row(state, RULES).recent_items == ("b", "a")


def test_affinities_weigh_kinds_and_halve_with_the_half_life() -> None:
    days = RULES.affinity_half_life_ms / 60_000
    found = features(view("a", 0), cart("a", days))
    assert found.category_names == ("tea",)
    assert found.category_weights[0] == pytest.approx(1.0 / 2 + 3.0)
    assert found.brand_names == ("leaf",)


def test_a_bad_rating_takes_affinity_away_and_a_good_one_adds_it() -> None:
    assert features(rating("a", 0, stars=5)).category_weights == (3.0 * (5 - 3) / 2,)
    assert features(rating("a", 0, stars=1)).category_weights == ()  # 3.0 * (1 - 3) / 2 is below zero
    assert features(view("a", 0), rating("a", 0, stars=3)).category_weights == (1.0,)


def test_an_item_that_is_not_in_the_catalogue_moves_no_affinity() -> None:
    assert features(view("a", 0), attributes=None).category_names == ()


def test_a_bad_rating_stands_in_no_history() -> None:
    assert features(view("a", 0), rating("b", 1, stars=3), rating("c", 2, stars=4)).recent_items == ("a", "c")


def test_a_cancellation_takes_the_purchase_back_and_shows_no_interest() -> None:
    bought = features(purchase("a", 0, quantity=2), purchase("b", 1))
    cancelled = features(purchase("a", 0, quantity=2), purchase("b", 1), purchase("a", 2, quantity=-2))
    assert bought.purchased_items == ("a", "b")
    assert cancelled.purchased_items == ("b",)
    assert cancelled.recent_items == bought.recent_items
    assert cancelled.category_weights == bought.category_weights
    assert cancelled.purchases_1h == 2


def test_a_cancellation_of_a_part_keeps_the_rest() -> None:
    assert features(purchase("a", 0, quantity=3), purchase("a", 1, quantity=-2)).purchased_items == ("a",)


def test_a_cancellation_that_comes_before_its_purchase_cancels_it_too() -> None:
    assert features(purchase("a", 1, quantity=-1), purchase("a", 0)).purchased_items == ()


def test_a_session_ends_with_a_pause_longer_than_the_gap() -> None:
    found = features(view("a", 0), view("b", 31), view("c", 40), view("b", 41))
    assert found.session_items == ("b", "c")
    assert found.session_started_ms == ms(31)


def test_a_search_keeps_the_session_alive_and_only_counts() -> None:
    found = features(view("a", 0), search(20), view("b", 40))
    assert found.session_items == ("a", "b")
    assert found.event_count == 3
    assert found.recent_items == ("a", "b")


def test_an_impression_changes_no_feature() -> None:
    assert features(impression("r1", 0, "a", "b")) == UserFeatures()


def test_each_folded_event_moves_the_rows_time_so_that_stores_can_order_rows() -> None:
    state = folded(view("a", 0))
    later, _ = fold(state, view("b", -1), TEA, place(1), RULES)
    assert later.row_us == state.row_us + 1
