"""An item's features as a pure fold over its touches.

Counts live in windows of event time, the trend and the co-visits are decayed sums. A touch is folded once: per
partition of `events`, places up to the high mark are ignored.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from contracts.clock import to_ms
from contracts.events import EventKind
from contracts.features import CO_VISIT_LENGTH, ItemFeatures
from streams.state.admission import Outcome
from streams.state.decay import Decayed, added, as_of, bounded, strongest
from streams.state.rules import INTEREST, Rules
from streams.state.windows import Windows, counted, totals

CO_VISITS_KEPT = 16 * CO_VISIT_LENGTH
"""Which of the weakest names are cut depends on the order of the touches, and a fast replay meets them in another order
than training folds them: with this many kept, the strongest are the same ones (benchmarks/feature_parity.py)."""

PRIOR_SHOWN = 20.0
"""Impressions that the prior is worth."""

PRIOR_RATES: dict[EventKind, float] = {
    EventKind.CLICK: 0.05,
    EventKind.ADD_TO_CART: 0.02,
    EventKind.PURCHASE: 0.01,
}
"""The rate that an item starts with, by kind."""

_WINDOW_OF = {
    EventKind.IMPRESSION: "impressions",
    EventKind.VIEW: "views",
    EventKind.CLICK: "clicks",
    EventKind.ADD_TO_CART: "carts",
    EventKind.PURCHASE: "purchases",
}


class Touch(Protocol):
    """What the fold reads of a touch (`contracts.interactions.ItemTouch`)."""

    @property
    def source_partition(self) -> int:
        """Partition of `events` that the touching event stands in."""
        ...

    @property
    def source_offset(self) -> int:
        """Its offset there."""
        ...

    @property
    def kind(self) -> EventKind:
        """Kind of the event."""
        ...

    @property
    def at(self) -> datetime:
        """Event time."""
        ...

    @property
    def quantity(self) -> int:
        """Units; below zero for a cancellation."""
        ...

    @property
    def neighbours(self) -> Sequence[str]:
        """Items touched before it in the same session, newest last."""
        ...


ITEM_STATE_FORMAT = 1
"""Version of a stored item's state. It moves with any change of a field's place or meaning, also in the parts."""


class ItemFeatureState(msgspec.Struct, frozen=True, array_like=True, tag=ITEM_STATE_FORMAT):
    """All that the fold must remember of one item.

    Attributes:
        marks: The last offset folded, by partition of `events`.
        row_us: Time of the row in microseconds: grows with each folded touch.
    """

    marks: dict[int, int] = {}
    impressions: Windows = Windows()
    views: Windows = Windows()
    clicks: Windows = Windows()
    carts: Windows = Windows()
    purchases: Windows = Windows()
    trend: Decayed = Decayed()
    co_visits: dict[str, Decayed] = {}
    last_event_ms: int = 0
    row_us: int = 0


def fold(state: ItemFeatureState, touch: Touch, rules: Rules) -> tuple[ItemFeatureState, Outcome]:
    """The state after one touch, and whether it counted; a redelivered touch leaves the state as it is."""
    if touch.source_offset <= state.marks.get(touch.source_partition, -1):
        return state, Outcome.REDELIVERED
    at_ms = to_ms(touch.at)
    newest_ms = max(state.last_event_ms, at_ms)
    outcome = Outcome.LATE if state.last_event_ms - at_ms > rules.late_after_ms else Outcome.COUNTED
    changes: dict[str, object] = {
        "marks": {**state.marks, touch.source_partition: touch.source_offset},
        "last_event_ms": newest_ms,
        "row_us": max(state.row_us + 1, at_ms * 1000),
    }
    cancels = touch.quantity < 0
    if (window := _WINDOW_OF.get(touch.kind)) and not cancels:
        changes[window] = counted(getattr(state, window), at_ms, newest_ms)
    if (interest := INTEREST.get(touch.kind)) and not cancels:
        changes["trend"] = added(state.trend, interest, at_ms, rules.trend_half_life_ms)
        changes["co_visits"] = _co_visited(state.co_visits, touch, interest, at_ms, newest_ms, rules)
    return msgspec.structs.replace(state, **changes), outcome


def row(state: ItemFeatureState, at_ms: int, rules: Rules) -> ItemFeatures:
    """The state as a row of features as of `at_ms` (event time, at least the newest touch's)."""
    impressions = totals(state.impressions, at_ms).week
    views, clicks = totals(state.views, at_ms), totals(state.clicks, at_ms)
    carts, purchases = totals(state.carts, at_ms), totals(state.purchases, at_ms)
    co_visits = strongest(state.co_visits, at_ms, rules.co_visit_half_life_ms, CO_VISIT_LENGTH)
    return ItemFeatures(
        impressions_7d=impressions,
        views_1h=views.hour, views_1d=views.day, views_7d=views.week,
        clicks_1h=clicks.hour, clicks_1d=clicks.day, clicks_7d=clicks.week,
        carts_1h=carts.hour, carts_1d=carts.day, carts_7d=carts.week,
        purchases_1h=purchases.hour, purchases_1d=purchases.day, purchases_7d=purchases.week,
        click_rate_7d=smoothed_rate(EventKind.CLICK, clicks.week, impressions),
        cart_rate_7d=smoothed_rate(EventKind.ADD_TO_CART, carts.week, impressions),
        purchase_rate_7d=smoothed_rate(EventKind.PURCHASE, purchases.week, impressions),
        trend_score=as_of(state.trend, at_ms, rules.trend_half_life_ms),
        co_visit_items=tuple(name for name, _ in co_visits),
        co_visit_weights=tuple(weight for _, weight in co_visits),
        last_event_ms=state.last_event_ms,
    )  # fmt: skip


def smoothed_rate(kind: EventKind, outcomes: int, impressions: int) -> float:
    """Outcomes a shown item, smoothed, from 0 to 1.

    The posterior mean of a Beta prior worth `PRIOR_SHOWN` impressions (Gelman et al., "Bayesian Data Analysis", 3rd
    edition, 2013, equation 2.5). We differ in cutting at 1, since organic outcomes come without impressions.
    """
    return min(1.0, (outcomes + PRIOR_RATES[kind] * PRIOR_SHOWN) / (impressions + PRIOR_SHOWN))


def _co_visited(
    co_visits: dict[str, Decayed], touch: Touch, interest: float, at_ms: int, newest_ms: int, rules: Rules
) -> dict[str, Decayed]:
    if not touch.neighbours:
        return co_visits
    half_life = rules.co_visit_half_life_ms
    grown = dict(co_visits)
    for neighbour in touch.neighbours:
        grown[neighbour] = added(grown.get(neighbour, Decayed(0.0, at_ms)), interest, at_ms, half_life)
    return bounded(grown, newest_ms, half_life, CO_VISITS_KEPT)
