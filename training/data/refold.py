"""Feature rows as of any time, by folding the events again: the very fold of the streams, so the rows that serving had.

1. Each user's events are folded in the log's order; the rows wanted are taken on the way, and what the user did to
   wanted items is kept.
2. Each wanted item's touches are folded in the order of event time, then of the log; its rows are taken on the way.

The row just before time t is made of the events before t, whatever the log held after them. A late event that stands in
the log behind t, yet happened before, is in the row: the user's events before t are then folded once more, alone.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import TypeVar

import msgspec

from contracts.clock import to_ms
from contracts.events import EventKind, Impression, Interaction, Search
from contracts.features import ItemFeatures, UserFeatures
from contracts.ids import ItemId, UserId
from streams.state import item_features, user_features, user_state
from streams.state.admission import Place
from streams.state.item_features import ItemFeatureState
from streams.state.rules import Rules
from streams.state.user_features import Attributes, UserFeatureState
from training.data.feature_join import FeatureRows, Wanted

Key = TypeVar("Key", UserId, ItemId)


@dataclass(frozen=True)
class LoggedEvent:
    """An event and its rank among all events by event time, then by place in the log."""

    rank: int
    event: Impression | Interaction


class CatalogueThen:
    """Category and brand of items as the catalogue stood at a time.

    Before an item's first version that version holds: the streams can only have folded such an event after it.
    """

    def __init__(self, versions: Iterable[tuple[ItemId, datetime, Attributes]]) -> None:
        """Takes the versions of all items in the order of their time."""
        self._times: dict[ItemId, list[datetime]] = defaultdict(list)
        self._versions: dict[ItemId, list[Attributes]] = defaultdict(list)
        for item_id, at, attributes in versions:
            self._times[item_id].append(at)
            self._versions[item_id].append(attributes)

    def of(self, event: Impression | Interaction) -> Attributes | None:
        """The attributes of the event's item; None where there is none, or the catalogue never had it."""
        if isinstance(event, Impression | Search) or event.item_id not in self._times:
            return None
        newest = bisect_right(self._times[event.item_id], event.at) - 1
        return self._versions[event.item_id][max(newest, 0)]


class _Touch(msgspec.Struct, frozen=True, gc=False):
    """As `contracts.interactions.ItemTouch`, unchecked and small: a big log has millions."""

    source_offset: int
    kind: EventKind
    at: datetime
    quantity: int
    neighbours: tuple[ItemId, ...]
    source_partition: int = 0


class Refold:
    """Folds a log, user by user, into the rows that are wanted.

    Args:
        wanted: The rows.
        catalogue: For the affinities.
        rules: Those of the streams that served.
    """

    def __init__(self, wanted: Wanted, catalogue: CatalogueThen, rules: Rules) -> None:
        self._wanted = wanted
        self._catalogue = catalogue
        self._rules = rules
        self._user_times = _times_by_key(wanted.users)
        self._item_times = _times_by_key(wanted.items)
        self._user_rows: dict[tuple[UserId, int], UserFeatures | None] = {}
        self._touches: dict[int, _Touch] = {}
        self._touched: dict[ItemId, array[int]] = {item_id: array("q") for item_id in self._item_times}

    def add(self, user_id: UserId, events: Sequence[LoggedEvent]) -> None:
        """Step 1 for one user: all of the user's events, in the log's order, each once."""
        at_ms = [to_ms(logged.event.at) for logged in events]
        times = self._user_times.get(user_id, ())
        ordered, newest_ms = sorted(at_ms), list(accumulate(at_ms, max))
        snapshots: dict[int, list[int]] = defaultdict(list)
        for time_ms in times:
            count = bisect_left(ordered, time_ms)
            if count and newest_ms[count - 1] >= time_ms:
                before = [logged for logged, ms in zip(events, at_ms, strict=True) if ms < time_ms]
                self._user_rows[user_id, time_ms] = self._row(self._folded(before))
            else:
                snapshots[count].append(time_ms)
        state = UserFeatureState()
        for place, logged in enumerate(events):
            if place in snapshots:
                row = self._row(state)
                self._user_rows |= {(user_id, time_ms): row for time_ms in snapshots[place]}
            one = user_state.fold(state, logged.event, self._catalogue.of(logged.event), Place(0, place), self._rules)
            state = one.features
            if one.touched is not None:
                self._keep(logged, one.touched)
        row = self._row(state)
        self._user_rows |= {(user_id, time_ms): row for time_ms in snapshots[len(events)]}

    def rows(self) -> FeatureRows:
        """Step 2, and the rows in the order in which they are wanted."""
        item_rows: dict[tuple[ItemId, int], ItemFeatures | None] = {}
        for item_id, times in self._item_times.items():
            item_rows |= self._item_rows(item_id, times)
        return FeatureRows(
            tuple(self._user_rows.get(key) for key in self._wanted.users),
            tuple(item_rows[key] for key in self._wanted.items),
        )

    def _keep(self, logged: LoggedEvent, touched: user_state.Touched) -> None:
        kept = [ranks for item_id in touched.items if (ranks := self._touched.get(item_id)) is not None]
        if not kept:
            return
        self._touches[logged.rank] = _Touch(
            logged.rank, touched.kind, logged.event.at, touched.quantity, touched.neighbours
        )
        for ranks in kept:
            ranks.append(logged.rank)

    def _folded(self, events: Sequence[LoggedEvent]) -> UserFeatureState:
        state = UserFeatureState()
        for place, logged in enumerate(events):
            state, _ = user_features.fold(
                state, logged.event, self._catalogue.of(logged.event), Place(0, place), self._rules
            )
        return state

    def _row(self, state: UserFeatureState) -> UserFeatures | None:
        return user_features.row(state, self._rules) if state.row_us else None

    def _item_rows(self, item_id: ItemId, times: Sequence[int]) -> Mapping[tuple[ItemId, int], ItemFeatures | None]:
        """The item's rows. The rank stands for the place: every touch is new, and in order."""
        rows: dict[tuple[ItemId, int], ItemFeatures | None] = {}
        state = ItemFeatureState()
        touches = [self._touches[rank] for rank in sorted(self._touched[item_id])]
        folded = 0
        for time_ms in times:
            while folded < len(touches) and to_ms(touches[folded].at) < time_ms:
                state, _ = item_features.fold(state, touches[folded], self._rules)
                folded += 1
            known = folded > 0
            rows[item_id, time_ms] = item_features.row(state, state.last_event_ms, self._rules) if known else None
        return rows


def _times_by_key(wanted: Iterable[tuple[Key, int]]) -> dict[Key, list[int]]:
    times: dict[Key, set[int]] = defaultdict(set)
    for key, at_ms in wanted:
        times[key].add(at_ms)
    return {key: sorted(of_key) for key, of_key in times.items()}
