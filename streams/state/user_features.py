"""A user's features as a pure fold over the user's events.

Interactions are kept sorted by (event time, event id), so late ones fall in their place; sessions are read off that
order. Categories and brands are decayed sums. A purchase of negative quantity takes back an earlier one and shows no
interest; a search counts and keeps the session alive; an impression changes nothing here but what has been seen.
"""

from bisect import bisect_left, insort
from dataclasses import dataclass

import msgspec

from contracts.clock import to_ms
from contracts.events import EventKind, Impression, Interaction, ItemInteraction, Purchase, Rating, Search
from contracts.features import AFFINITY_LENGTH, HISTORY_LENGTH, PURCHASED_LENGTH, UserFeatures
from streams.state.admission import Outcome, Place, Seen, admit
from streams.state.decay import Decayed, added, bounded, strongest
from streams.state.rules import INTEREST, Rules, rating_sign, shows_interest
from streams.state.windows import Windows, counted, totals

Recent = tuple[int, str, str, str]
"""One kept interaction: (event time in ms, event id, item id, kind); sorts by time, then by id."""

SEARCHES_KEPT = 10
AFFINITIES_KEPT = 4 * AFFINITY_LENGTH


@dataclass(frozen=True)
class Attributes:
    """What of an item the affinities read; empty text where the shop gives none."""

    category: str = ""
    brand: str = ""


class UserFeatureState(msgspec.Struct, frozen=True, array_like=True):
    """All that the fold must remember of one user.

    Attributes:
        recent: The newest interactions, oldest first.
        searches_ms: Times of the newest searches, oldest first.
        purchased: Units bought by item, the latest purchase last; below zero, a cancellation came before its purchase.
        row_us: Time of the row in microseconds: grows with each folded event, so a store can order rows.
    """

    seen: Seen = Seen()
    recent: tuple[Recent, ...] = ()
    searches_ms: tuple[int, ...] = ()
    purchased: dict[str, int] = {}
    views: Windows = Windows()
    clicks: Windows = Windows()
    carts: Windows = Windows()
    purchases: Windows = Windows()
    categories: dict[str, Decayed] = {}
    brands: dict[str, Decayed] = {}
    event_count: int = 0
    last_event_ms: int = 0
    row_us: int = 0


_WINDOW_OF = {
    EventKind.VIEW: "views",
    EventKind.CLICK: "clicks",
    EventKind.ADD_TO_CART: "carts",
    EventKind.PURCHASE: "purchases",
}


def fold(
    state: UserFeatureState, event: Impression | Interaction, attributes: Attributes | None, place: Place, rules: Rules
) -> tuple[UserFeatureState, Outcome]:
    """The state after one event, and whether it counted.

    Args:
        state: The user's state so far.
        event: The event; all of one state are of the same user.
        attributes: Of the event's item; None when it has none or is not in the catalogue (then no affinity moves).
        place: Where the event stands in the topic `events`.
        rules: Gaps and half-lives.

    Returns:
        The new state (the same one for a redelivery) and the outcome.
    """
    seen, outcome = admit(state.seen, event.event_id, place)
    if outcome is Outcome.REDELIVERED:
        return state, outcome
    if not outcome.new or isinstance(event, Impression):
        return msgspec.structs.replace(state, seen=seen), outcome
    at_ms = to_ms(event.at)
    if state.last_event_ms - at_ms > rules.late_after_ms:
        outcome = Outcome.LATE
    row_us = max(state.row_us + 1, at_ms * 1000)
    if isinstance(event, Search):
        searches = tuple(sorted((*state.searches_ms, at_ms))[-SEARCHES_KEPT:])
        return msgspec.structs.replace(
            state, seen=seen, searches_ms=searches, event_count=state.event_count + 1, row_us=row_us
        ), outcome
    if isinstance(event, Purchase) and event.quantity < 0:
        return msgspec.structs.replace(
            state, seen=seen, purchased=_purchased(state, event), event_count=state.event_count + 1, row_us=row_us
        ), outcome
    return _interacted(state, event, attributes, seen, at_ms, row_us, rules), outcome


def history(state: UserFeatureState, at_ms: int, event_id: str = "") -> tuple[Recent, ...]:
    """The interactions kept from before (`at_ms`, `event_id`), oldest first."""
    return state.recent[: bisect_left(state.recent, (at_ms, event_id, "", ""))]


def session(state: UserFeatureState, until_ms: int, before: tuple[Recent, ...], rules: Rules) -> tuple[Recent, ...]:
    """The part of `before` that is in one session with `until_ms`: no pause longer than the gap, searches counted."""
    searches = list(state.searches_ms)
    start_ms = until_ms
    first = len(before)
    while first:
        time_ms = before[first - 1][0]
        while searches and searches[-1] >= time_ms:
            search_ms = searches.pop()
            if search_ms <= start_ms and start_ms - search_ms <= rules.session_gap_ms:
                start_ms = search_ms
        if start_ms - time_ms > rules.session_gap_ms:
            break
        start_ms = min(start_ms, time_ms)
        first -= 1
    return before[first:]


def row(state: UserFeatureState, rules: Rules) -> UserFeatures:
    """The state as a row of features, as of the newest interaction."""
    now = state.last_event_ms
    views, clicks = totals(state.views, now), totals(state.clicks, now)
    carts, purchases = totals(state.carts, now), totals(state.purchases, now)
    categories = strongest(state.categories, now, rules.affinity_half_life_ms, AFFINITY_LENGTH)
    brands = strongest(state.brands, now, rules.affinity_half_life_ms, AFFINITY_LENGTH)
    current = session(state, now, state.recent, rules)
    return UserFeatures(
        recent_items=tuple(recent[2] for recent in state.recent),
        recent_kinds=tuple(recent[3] for recent in state.recent),
        recent_times_ms=tuple(recent[0] for recent in state.recent),
        recent_event_ids=tuple(recent[1] for recent in state.recent),
        purchased_items=tuple(item for item, units in state.purchased.items() if units > 0),
        session_items=tuple(dict.fromkeys(recent[2] for recent in current)),
        session_started_ms=current[0][0] if current else 0,
        views_1h=views.hour, views_1d=views.day, views_7d=views.week,
        clicks_1h=clicks.hour, clicks_1d=clicks.day, clicks_7d=clicks.week,
        carts_1h=carts.hour, carts_1d=carts.day, carts_7d=carts.week,
        purchases_1h=purchases.hour, purchases_1d=purchases.day, purchases_7d=purchases.week,
        category_names=tuple(name for name, _ in categories),
        category_weights=tuple(weight for _, weight in categories),
        brand_names=tuple(name for name, _ in brands),
        brand_weights=tuple(weight for _, weight in brands),
        event_count=state.event_count,
        last_event_ms=now,
    )  # fmt: skip


def _interacted(
    state: UserFeatureState,
    event: ItemInteraction,
    attributes: Attributes | None,
    seen: Seen,
    at_ms: int,
    row_us: int,
    rules: Rules,
) -> UserFeatureState:
    newest_ms = max(state.last_event_ms, at_ms)
    recent = list(state.recent)
    if shows_interest(event):
        insort(recent, (at_ms, event.event_id, event.item_id, event.kind.value))
    changes: dict[str, object] = {
        "seen": seen,
        "recent": tuple(recent[-HISTORY_LENGTH:]),
        "event_count": state.event_count + 1,
        "last_event_ms": newest_ms,
        "row_us": row_us,
    }
    if window := _WINDOW_OF.get(event.kind):
        changes[window] = counted(getattr(state, window), at_ms, newest_ms)
    if isinstance(event, Purchase):
        changes["purchased"] = _purchased(state, event)
    if attributes is not None:
        weight = INTEREST[event.kind] * (rating_sign(event.stars) if isinstance(event, Rating) else 1.0)
        changes["categories"] = _leaning(state.categories, attributes.category, weight, at_ms, newest_ms, rules)
        changes["brands"] = _leaning(state.brands, attributes.brand, weight, at_ms, newest_ms, rules)
    return msgspec.structs.replace(state, **changes)


def _purchased(state: UserFeatureState, event: Purchase) -> dict[str, int]:
    units = state.purchased.get(event.item_id, 0) + event.quantity
    kept = {item: count for item, count in state.purchased.items() if item != event.item_id}
    if units:
        kept[event.item_id] = units
    return dict(list(kept.items())[-PURCHASED_LENGTH:])


def _leaning(
    totals_by_name: dict[str, Decayed], name: str, weight: float, at_ms: int, newest_ms: int, rules: Rules
) -> dict[str, Decayed]:
    if not name or not weight:
        return totals_by_name
    half_life = rules.affinity_half_life_ms
    total = added(totals_by_name.get(name, Decayed(0.0, at_ms)), weight, at_ms, half_life)
    return bounded({**totals_by_name, name: total}, newest_ms, half_life, AFFINITIES_KEPT)
