"""The state is a pure fold: what it comes to depends on the log alone, not on batches, redelivery or duplicates."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import Impression, Interaction
from streams.state import user_features
from streams.state.user_state import UserState, step
from tests.streams.shop import RULES, cart, click, impression, place, purchase, search, view

MINUTES = st.integers(min_value=-300, max_value=300)
ITEMS = st.sampled_from("abcde")

EVENTS = st.one_of(
    st.builds(view, ITEMS, MINUTES),
    st.builds(click, ITEMS, MINUTES),
    st.builds(cart, ITEMS, MINUTES),
    st.builds(purchase, ITEMS, MINUTES, st.sampled_from([1, 2, -1])),
    st.builds(search, MINUTES),
    st.builds(lambda number, minutes: impression(f"r{number}", minutes, *"abc"), st.integers(0, 30), MINUTES),
)
ATTRIBUTES = {item: user_features.Attributes(category=f"cat-{item}", brand="leaf") for item in "abcde"}


def replay(events: list[Interaction | Impression], cuts: set[int], again: int = 0) -> tuple[UserState, dict[str, str]]:
    """Folds the events; at each cut the state goes through bytes, and the last `again` events come once more."""
    state, told = UserState(), {}
    for offset in range(len(events)):
        places = [offset]
        if offset in cuts:
            state = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=UserState)
            places = [*range(max(0, offset - again), offset), offset]
        for one in places:
            found = step(state, events[one], ATTRIBUTES.get(getattr(events[one], "item_id", "")), place(one), RULES)
            state = found.state
            told |= {example.example_id: example.model_dump_json() for example in found.examples}
    return state, told


@given(st.lists(EVENTS, max_size=40), st.sets(st.integers(0, 40)), st.integers(0, 40))
def test_redelivery_after_a_crash_leaves_state_and_examples_equal(
    events: list[Interaction | Impression], cuts: set[int], again: int
) -> None:
    assert replay(events, cuts, again) == replay(events, set())


SOON = st.integers(min_value=0, max_value=25)
"""Within one attribution window."""

ANSWERS = st.tuples(SOON, st.lists(ITEMS, min_size=1, max_size=5, unique=True))
WANTED = st.one_of(st.builds(click, ITEMS, SOON), st.builds(purchase, ITEMS, SOON, st.sampled_from([1, -1])))


@given(st.lists(st.one_of(ANSWERS, WANTED), max_size=40))
def test_no_answer_calls_an_item_left_alone_that_was_wanted_after_it_was_shown(
    given_events: list[tuple[int, list[str]] | Interaction],
) -> None:
    state, answers, refused = UserState(), [], set()
    for offset, one in enumerate([*given_events, view("z", 2000)]):
        event = impression(f"r{offset}", one[0], *one[1]) if isinstance(one, tuple) else one
        if isinstance(event, Impression):
            answers.append(event)
        found = step(state, event, None, place(offset), RULES)
        state = found.state
        for example in found.examples:
            assert example.outcome is not None or example.example_id not in refused
        for example in found.examples:
            if example.outcome is not None and not example.cancels:
                refused |= {f"{shown.request_id}/{example.item_id}" for shown in answers if shown.at <= example.at}


@given(st.lists(EVENTS, max_size=40, unique_by=lambda event: event.event_id), st.data())
def test_an_event_sent_twice_counts_once(events: list[Interaction | Impression], choose: st.DataObject) -> None:
    twice = events + [event for event in events if choose.draw(st.booleans())]
    once, doubled = replay(events, set()), replay(twice, set())
    assert user_features.row(once[0].features, RULES) == user_features.row(doubled[0].features, RULES)
    assert once[1] == doubled[1]


@given(
    st.lists(
        st.one_of(st.builds(view, ITEMS, MINUTES), st.builds(purchase, ITEMS, MINUTES)),
        max_size=30,
        unique_by=lambda event: event.event_id,
    ),
    st.randoms(use_true_random=False),
)
def test_history_and_windows_do_not_depend_on_the_order_of_arrival(events, random) -> None:  # type: ignore[no-untyped-def]
    shuffled = list(events)
    random.shuffle(shuffled)
    one = user_features.row(replay(events, set())[0].features, RULES)
    other = user_features.row(replay(shuffled, set())[0].features, RULES)
    assert one.recent_event_ids == other.recent_event_ids
    assert (one.views_1h, one.views_1d, one.purchases_7d) == (other.views_1h, other.views_1d, other.purchases_7d)
    assert one.session_items == other.session_items
    assert sorted(one.purchased_items) == sorted(other.purchased_items)
