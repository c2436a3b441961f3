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


class UserState(msgspec.Struct, frozen=True, array_like=True):
    """What the user table keeps of one user."""

    features: UserFeatureState = UserFeatureState()
    attribution: AttributionState = AttributionState()


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
    features, outcome = user_features.fold(state.features, event, attributes, place, rules)
    if not outcome.new:
        kept = state if features is state.features else UserState(features, state.attribution)
        return Step(kept, outcome, [], [])
    before = user_features.history(state.features, to_ms(event.at), event.event_id)
    joined, examples = attribution.join(state.attribution, event, before, rules)
    return Step(UserState(features, joined), outcome, examples, _touches(state, event, before, place, rules))


def _touches(
    state: UserState,
    event: Impression | Interaction,
    before: tuple[user_features.Recent, ...],
    place: Place,
    rules: Rules,
) -> list[tuple[ItemId, ItemTouch]]:
    if isinstance(event, Search) or not shows_interest(event):
        return []
    if isinstance(event, Impression):
        items = dict.fromkeys(item.item_id for item in event.items)
        return [(item_id, _touch(event, EventKind.IMPRESSION, place)) for item_id in items]
    current = user_features.session(state.features, to_ms(event.at), before, rules)
    others = dict.fromkeys(recent[2] for recent in reversed(current) if recent[2] != event.item_id)
    neighbours = tuple(ItemId(item) for item in reversed(list(others)[:NEIGHBOURS]))
    quantity = event.quantity if isinstance(event, Purchase) else 1
    return [(event.item_id, _touch(event, event.kind, place, quantity, neighbours))]


def _touch(
    event: Impression | Interaction,
    kind: EventKind,
    place: Place,
    quantity: int = 1,
    neighbours: tuple[ItemId, ...] = (),
) -> ItemTouch:
    return ItemTouch(
        event_id=event.event_id,
        source_partition=place.partition,
        source_offset=place.offset,
        kind=kind,
        at=event.at,
        quantity=quantity,
        neighbours=neighbours,
    )
