"""One user's whole state, and one step of it: features, attribution, and what the item agent must be told.

The step admits an event once for all three, so that none counts what another has refused.
"""

from dataclasses import dataclass

import msgspec

from contracts.clock import to_ms
from contracts.events import EventKind, Impression, Interaction, Purchase, Search
from contracts.examples import TrainingExample
from contracts.ids import ItemId
from contracts.interactions import ItemTouch
from streams.state import attribution, user_features
from streams.state.admission import Outcome, Place
from streams.state.attribution import AttributionState
from streams.state.rules import Rules, shows_interest
from streams.state.user_features import Attributes, UserFeatureState

NEIGHBOURS = 5
"""Items touched before in the session that a touch names as its co-visits, the newest ones."""


USER_STATE_FORMAT = 1
"""Version of a stored user's state. It moves with any change of a field's place or meaning, also in the parts."""


class UserState(msgspec.Struct, frozen=True, array_like=True, tag=USER_STATE_FORMAT):
    """What the user table keeps of one user."""

    features: UserFeatureState = UserFeatureState()
    attribution: AttributionState = AttributionState()

    def opened_ms(self) -> int | None:
        """Event time of the oldest impression whose window is open; None when none is."""
        return self.attribution.pending[0].at_ms if self.attribution.pending else None

    def seen_ms(self) -> int:
        """The newest event time that it remembers."""
        pending, searches = self.attribution.pending, self.features.searches_ms
        return max(self.features.last_event_ms, pending[-1].at_ms if pending else 0, searches[-1] if searches else 0)


@dataclass(frozen=True)
class Touched:
    """What one event did to items, as the items see it: the same for all of them.

    Attributes:
        items: Each once; none where the event shows no interest.
        neighbours: Items that the user touched before it in the same session, newest last.
    """

    items: tuple[ItemId, ...]
    kind: EventKind
    quantity: int = 1
    neighbours: tuple[ItemId, ...] = ()


@dataclass(frozen=True)
class Folded:
    """One event folded into a user's features alone.

    Attributes:
        features: The state after it.
        before: The user's interactions before it; empty when it did not count.
        touched: The items that it touched; None when it did not count or touched none.
    """

    features: UserFeatureState
    outcome: Outcome
    before: tuple[user_features.Recent, ...] = ()
    touched: Touched | None = None


@dataclass(frozen=True)
class Step:
    """The new state, and what the event gives to others: nothing when it did not count."""

    state: UserState
    outcome: Outcome
    examples: list[TrainingExample]
    touches: list[tuple[ItemId, ItemTouch]]


def step(
    state: UserState, event: Impression | Interaction, attributes: Attributes | None, place: Place, rules: Rules
) -> Step:
    """One event folded into the user's state. Arguments as `user_features.fold`."""
    folded = fold(state.features, event, attributes, place, rules)
    if not folded.outcome.new:
        kept = state if folded.features is state.features else UserState(folded.features, state.attribution)
        return Step(kept, folded.outcome, [], [])
    joined, examples = attribution.join(state.attribution, event, folded.before, rules)
    return Step(UserState(folded.features, joined), folded.outcome, examples, _touches(event, folded.touched, place))


def fold(
    features: UserFeatureState,
    event: Impression | Interaction,
    attributes: Attributes | None,
    place: Place,
    rules: Rules,
) -> Folded:
    """The part of a step that features are made of: all but the examples. Arguments as `user_features.fold`."""
    after, outcome = user_features.fold(features, event, attributes, place, rules)
    if not outcome.new:
        return Folded(after, outcome)
    before = user_features.history(features, to_ms(event.at), event.event_id)
    return Folded(after, outcome, before, _touched(features, event, before, rules))


def _touched(
    features: UserFeatureState,
    event: Impression | Interaction,
    before: tuple[user_features.Recent, ...],
    rules: Rules,
) -> Touched | None:
    if isinstance(event, Search) or not shows_interest(event):
        return None
    if isinstance(event, Impression):
        return Touched(tuple(dict.fromkeys(item.item_id for item in event.items)), EventKind.IMPRESSION)
    current = user_features.session(features, to_ms(event.at), before, rules)
    others = dict.fromkeys(recent[2] for recent in reversed(current) if recent[2] != event.item_id)
    neighbours = tuple(ItemId(item) for item in reversed(list(others)[:NEIGHBOURS]))
    quantity = event.quantity if isinstance(event, Purchase) else 1
    return Touched((event.item_id,), event.kind, quantity, neighbours)


def _touches(event: Impression | Interaction, touched: Touched | None, place: Place) -> list[tuple[ItemId, ItemTouch]]:
    if touched is None:
        return []
    touch = ItemTouch(
        event_id=event.event_id,
        source_partition=place.partition,
        source_offset=place.offset,
        kind=touched.kind,
        at=event.at,
        quantity=touched.quantity,
        neighbours=touched.neighbours,
    )
    return [(item_id, touch) for item_id in touched.items]
