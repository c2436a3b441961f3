from contracts.events import EventKind, Impression, Interaction
from contracts.examples import TrainingExample
from streams.state import attribution
from streams.state.attribution import PENDING_LENGTH
from streams.state.user_state import UserState, step
from tests.streams.shop import ANN, NOON, RULES, click, impression, ms, place, purchase, rating, view

WINDOW = RULES.attribution_window_ms / 60_000


def played(*events: Interaction | Impression) -> tuple[UserState, list[TrainingExample]]:
    state, examples = UserState(), []
    for offset, event in enumerate(events):
        one = step(state, event, None, place(offset), RULES)
        state = one.state
        examples += one.examples
    return state, examples


def labels(examples: list[TrainingExample]) -> list[tuple[str, str | None]]:
    return [(example.item_id, example.outcome) for example in examples]


def test_a_click_is_a_positive_at_once_with_its_impression() -> None:
    _, examples = played(impression("r1", 0, "a", "b"), click("a", 1))
    [positive] = examples
    assert (positive.item_id, positive.outcome, positive.request_id) == ("a", EventKind.CLICK, "r1")
    assert (positive.position, positive.model_version, positive.event_id) == (0, "v1", "click-a-1")


def test_items_above_the_clicked_one_are_negatives_at_once_and_those_below_wait() -> None:
    _, examples = played(impression("r1", 0, "a", "b", "c", "d"), click("c", 1))
    assert labels(examples) == [("a", None), ("b", None), ("c", "click")]


def test_the_rest_are_negatives_when_the_window_has_passed_in_event_time() -> None:
    state, _ = played(impression("r1", 0, "a", "b", "c"), click("a", 1))
    recent = state.features.recent
    still, none = attribution.close(state.attribution, ANN, ms(WINDOW) - 1, recent, RULES)
    closed, rest = attribution.close(state.attribution, ANN, ms(WINDOW), recent, RULES)
    assert (still, none) == (state.attribution, [])
    assert labels(rest) == [("b", None), ("c", None)]
    assert [example.at for example in rest] == [NOON, NOON]
    assert closed.pending == ()


def test_the_users_own_later_event_closes_the_window() -> None:
    _, examples = played(impression("r1", 0, "a"), view("z", WINDOW + 1))
    assert labels(examples) == [("a", None), ("z", "view")]


def test_an_item_gets_no_negative_after_its_positive() -> None:
    _, examples = played(impression("r1", 0, "a", "b"), click("a", 1), click("b", 2), view("z", WINDOW + 1))
    assert labels(examples) == [("a", "click"), ("b", "click"), ("z", "view")]


def test_a_positive_after_the_negative_is_still_told() -> None:
    _, examples = played(impression("r1", 0, "a", "b"), click("b", 1), click("a", 2))
    assert labels(examples) == [("a", None), ("b", "click"), ("a", "click")]


def test_an_item_shown_in_two_answers_and_clicked_in_one_is_a_negative_of_neither() -> None:
    for request_id in ("r1", "r2", None):
        _, examples = played(
            impression("r1", 0, "a", "b"), impression("r2", 1, "c", "a"), click("a", 2, request_id=request_id),
            view("z", 1 + WINDOW + 1),
        )  # fmt: skip
        assert sorted(labels(examples), key=str) == [("a", "click"), ("b", None), ("c", None), ("z", "view")]


def test_an_item_shown_again_after_its_click_and_left_alone_is_a_negative_of_that_answer() -> None:
    _, examples = played(impression("r1", 0, "a"), click("a", 1), impression("r2", 2, "a"), view("z", 2 + WINDOW + 1))
    assert [(example.request_id, example.outcome) for example in examples[:2]] == [("r1", "click"), ("r2", None)]


def test_an_interaction_without_impression_is_an_organic_positive() -> None:
    _, [organic] = played(purchase("a", 0, quantity=3))
    assert (organic.request_id, organic.position, organic.quantity) == (None, None, 3)


def test_a_cancellation_is_told_with_its_quantity_and_settles_nothing() -> None:
    state, examples = played(impression("r1", 0, "a", "b"), purchase("b", 1, quantity=-1))
    assert [(example.item_id, example.quantity) for example in examples] == [("b", -1)]
    assert not any(shown.settled for shown in state.attribution.pending[0].shown)


def test_a_bad_rating_is_no_positive() -> None:
    assert played(rating("a", 0, stars=2))[1] == []
    assert labels(played(rating("a", 0, stars=4))[1]) == [("a", "rating")]


def test_the_named_request_wins_over_a_newer_impression_of_the_item() -> None:
    _, examples = played(impression("r1", 0, "a"), impression("r2", 1, "a"), click("a", 2, request_id="r1"))
    assert examples[0].request_id == "r1"
    _, examples = played(impression("r1", 0, "a"), impression("r2", 1, "a"), click("a", 2))
    assert examples[0].request_id == "r2"


def test_history_is_what_came_before_the_event() -> None:
    _, examples = played(view("x", 0), view("y", 1), click("z", 2))
    assert examples[-1].history_items == ("x", "y")
    assert examples[-1].history_kinds == (EventKind.VIEW, EventKind.VIEW)
    assert examples[-1].history_times_ms == (ms(0), ms(1))


def test_a_negatives_history_ends_at_its_impression() -> None:
    _, examples = played(view("x", 0), impression("r1", 1, "a", "b"), view("y", 2), click("b", 3))
    negative = next(example for example in examples if example.outcome is None)
    assert negative.history_items == ("x",)


def test_an_impression_squeezed_out_is_closed_as_if_its_window_had_ended() -> None:
    state, examples = played(
        *(impression(f"r{number}", number / 10, f"i{number}") for number in range(PENDING_LENGTH + 1))
    )
    assert labels(examples) == [("i0", None)]
    assert len(state.attribution.pending) == PENDING_LENGTH


def test_example_ids_are_the_same_when_the_same_events_are_joined_again() -> None:
    events = (impression("r1", 0, "a", "b", "c"), click("b", 1), view("z", WINDOW + 1))
    first, again = played(*events)[1], played(*events)[1]
    assert first == again
    assert len({example.example_id for example in first}) == len(first)


def test_touches_name_the_item_and_the_sessions_items_before_it() -> None:
    state = UserState()
    for offset, event in enumerate((view("a", 0), view("b", 40), view("c", 41), view("b", 42))):
        one = step(state, event, None, place(offset), RULES)
        state = one.state
    [(item_id, touch)] = one.touches
    assert (item_id, touch.source_offset, touch.neighbours) == ("b", 3, ("c",))


def test_a_bad_rating_touches_nothing_and_a_good_one_does() -> None:
    assert step(UserState(), rating("a", 0, stars=3), None, place(0), RULES).touches == []
    assert [item for item, _ in step(UserState(), rating("a", 0, stars=4), None, place(0), RULES).touches] == ["a"]


def test_an_impression_touches_each_of_its_items_once() -> None:
    one = step(UserState(), impression("r1", 0, "a", "b", "a"), None, place(0), RULES)
    assert [(item, touch.kind) for item, touch in one.touches] == [("a", "impression"), ("b", "impression")]
