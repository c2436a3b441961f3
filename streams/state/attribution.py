"""Impressions joined with what followed: labelled examples as a pure fold over one user's events.

An outcome becomes a positive at once. Items shown above it and left alone become negatives with it ("skip above":
Joachims, "Optimizing Search Engines using Clickthrough Data", KDD 2002, section 2.2; we take every outcome, not clicks
alone), the other items when the attribution window has passed in event time. An outcome
settles its item in every open impression that had shown it by then, so that an item gets no negative after its
positive; a positive after its negative is still told, since it is the truth that came later.
"""

from bisect import bisect_left

import msgspec

from contracts.clock import from_ms, to_ms
from contracts.events import EventKind, Impression, Interaction, ItemInteraction, Purchase, Search
from contracts.examples import TrainingExample
from contracts.ids import EventId, ExampleId, ItemId, ModelVersion, RequestId, UserId
from streams.state.rules import Rules, shows_interest
from streams.state.user_features import Recent

PENDING_LENGTH = 20
"""Impressions waited for per user. The oldest one squeezed out is closed as if its window had ended."""


class Shown(msgspec.Struct, frozen=True, array_like=True):
    """One item of an impression; `settled` once it has a label."""

    item_id: str
    position: int
    settled: bool = False


class Pending(msgspec.Struct, frozen=True, array_like=True):
    """An impression whose window is open."""

    request_id: str
    at_ms: int
    model_version: str | None
    shown: tuple[Shown, ...]


class AttributionState(msgspec.Struct, frozen=True, array_like=True):
    """The open impressions of one user, oldest first by event time."""

    pending: tuple[Pending, ...] = ()

    def next_close_ms(self, rules: Rules) -> int | None:
        """When the oldest window ends, in event time; None when none is open."""
        return self.pending[0].at_ms + rules.attribution_window_ms if self.pending else None


def join(
    state: AttributionState, event: Impression | Interaction, recent: tuple[Recent, ...], rules: Rules
) -> tuple[AttributionState, list[TrainingExample]]:
    """The state after one new event of the user, and the examples that it settles.

    Args:
        state: The open impressions.
        event: The event; never a duplicate (the caller has admitted it).
        recent: The user's interactions before this event, oldest first.
        rules: The attribution window.
    """
    state, examples = close(state, event.user_id, to_ms(event.at), recent, rules)
    if isinstance(event, Impression):
        state, squeezed = _opened(state, event, recent)
        return state, examples + squeezed
    if isinstance(event, Search) or not shows_interest(event):
        return state, examples
    return _outcome(state, event, recent, examples)


def close(
    state: AttributionState, user_id: UserId, watermark_ms: int, recent: tuple[Recent, ...], rules: Rules
) -> tuple[AttributionState, list[TrainingExample]]:
    """Closes the windows that ended at or before the watermark.

    Args:
        state: The open impressions.
        user_id: Whose they are.
        watermark_ms: Event time up to which everything is thought to have come.
        recent: The user's interactions, oldest first; those before an impression are its negatives' history.
        rules: The attribution window.

    Returns:
        The state without them, and a negative for each of their items that has no label.
    """
    ended = [one for one in state.pending if one.at_ms + rules.attribution_window_ms <= watermark_ms]
    if not ended:
        return state, []
    open_still = tuple(one for one in state.pending if one.at_ms + rules.attribution_window_ms > watermark_ms)
    return AttributionState(open_still), [negative for one in ended for negative in _rest(one, user_id, recent)]


def _opened(
    state: AttributionState, event: Impression, recent: tuple[Recent, ...]
) -> tuple[AttributionState, list[TrainingExample]]:
    if any(one.request_id == event.request_id for one in state.pending):
        return state, []
    shown = tuple(Shown(item.item_id, item.position) for item in sorted(event.items, key=lambda item: item.position))
    opened = Pending(event.request_id, to_ms(event.at), event.model_version, shown)
    pending = sorted((*state.pending, opened), key=lambda one: (one.at_ms, one.request_id))
    squeezed = pending[:-PENDING_LENGTH]
    negatives = [negative for one in squeezed for negative in _rest(one, event.user_id, recent)]
    return AttributionState(tuple(pending[-PENDING_LENGTH:])), negatives


def _outcome(
    state: AttributionState, event: ItemInteraction, recent: tuple[Recent, ...], examples: list[TrainingExample]
) -> tuple[AttributionState, list[TrainingExample]]:
    index = _impression_of(state, event)
    if not _cancels(event):
        state = _settled(state, event)
    if index is None:
        return state, [*examples, _positive(event, recent, None, None)]
    shown_in = state.pending[index]
    hit = next((shown for shown in shown_in.shown if shown.item_id == event.item_id), None)
    if hit is None or _cancels(event):
        return state, [*examples, _positive(event, recent, shown_in, hit)]
    above = [shown for shown in shown_in.shown if shown.position < hit.position and not shown.settled]
    negatives = [_negative(shown_in, shown, event.user_id, recent) for shown in above]
    settled = tuple(
        Shown(shown.item_id, shown.position, True) if shown is hit or shown in above else shown
        for shown in shown_in.shown
    )
    pending = (*state.pending[:index], msgspec.structs.replace(shown_in, shown=settled), *state.pending[index + 1 :])
    return AttributionState(pending), [*examples, *negatives, _positive(event, recent, shown_in, hit)]


def _settled(state: AttributionState, event: ItemInteraction) -> AttributionState:
    """The state once the event's item is settled wherever it had been shown by then."""
    at_ms = to_ms(event.at)
    return AttributionState(tuple(_without(one, event.item_id) if one.at_ms <= at_ms else one for one in state.pending))


def _without(one: Pending, item_id: ItemId) -> Pending:
    if not any(shown.item_id == item_id and not shown.settled for shown in one.shown):
        return one
    settled = tuple(
        Shown(shown.item_id, shown.position, True) if shown.item_id == item_id else shown for shown in one.shown
    )
    return msgspec.structs.replace(one, shown=settled)


def _impression_of(state: AttributionState, event: ItemInteraction) -> int | None:
    """The impression that the event names; else the newest one before it that showed the item."""
    at_ms = to_ms(event.at)
    for index in range(len(state.pending) - 1, -1, -1):
        one = state.pending[index]
        if event.request_id is not None:
            if one.request_id == event.request_id:
                return index
        elif one.at_ms <= at_ms and any(shown.item_id == event.item_id for shown in one.shown):
            return index
    return None


def _cancels(event: ItemInteraction) -> bool:
    return isinstance(event, Purchase) and event.quantity < 0


def _rest(one: Pending, user_id: UserId, recent: tuple[Recent, ...]) -> list[TrainingExample]:
    return [_negative(one, shown, user_id, recent) for shown in one.shown if not shown.settled]


def _negative(one: Pending, shown: Shown, user_id: UserId, recent: tuple[Recent, ...]) -> TrainingExample:
    before = recent[: bisect_left(recent, (one.at_ms, "", "", ""))]
    return TrainingExample(
        example_id=ExampleId(f"{one.request_id}/{shown.item_id}"),
        user_id=user_id,
        item_id=ItemId(shown.item_id),
        at=from_ms(one.at_ms),
        outcome=None,
        request_id=RequestId(one.request_id),
        position=shown.position,
        model_version=None if one.model_version is None else ModelVersion(one.model_version),
        history_items=_items(before),
        history_kinds=_kinds(before),
        history_times_ms=_times(before),
    )


def _positive(
    event: ItemInteraction, recent: tuple[Recent, ...], shown_in: Pending | None, hit: Shown | None
) -> TrainingExample:
    version = shown_in.model_version if shown_in is not None else None
    return TrainingExample(
        example_id=ExampleId(f"{event.event_id}/{event.item_id}"),
        user_id=event.user_id,
        item_id=event.item_id,
        at=event.at,
        outcome=event.kind,
        event_id=EventId(event.event_id),
        request_id=event.request_id if shown_in is None else RequestId(shown_in.request_id),
        position=hit.position if hit is not None else None,
        model_version=None if version is None else ModelVersion(version),
        quantity=event.quantity if isinstance(event, Purchase) else 1,
        traced=event.traced,
        history_items=_items(recent),
        history_kinds=_kinds(recent),
        history_times_ms=_times(recent),
    )


def _items(recent: tuple[Recent, ...]) -> tuple[ItemId, ...]:
    return tuple(ItemId(one[2]) for one in recent)


def _kinds(recent: tuple[Recent, ...]) -> tuple[EventKind, ...]:
    return tuple(EventKind(one[3]) for one in recent)


def _times(recent: tuple[Recent, ...]) -> tuple[int, ...]:
    return tuple(one[0] for one in recent)
