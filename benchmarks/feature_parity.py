"""Are the rows that training joins those that the streams had? `python -m benchmarks.feature_parity`.

A whole log goes through the streams' folds in batches of odd sizes, as the agents take it, and through the archive
agent. Wherever a batch ends at a change of time, each row that has changed is noted; the join over the archive must
give the same row for that time.

The streams fold a batch partition by partition, the join by time. Sums then differ by rounding; and of an item with
more co-visits than are kept, which of the weakest are left out depends on the order. Small batches, as live ones are,
leave hardly a trace of it; the large ones of a fast replay do.
"""

import argparse
import math
import tempfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import cycle
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from benchmarks.machine import machine, save
from benchmarks.retail import FILE
from contracts.catalogue import Item
from contracts.clock import to_ms, utc_now
from contracts.events import Impression, Interaction, ItemUpserted, Search
from contracts.features import ItemFeatures, UserFeatures
from contracts.ids import ItemId, UserId
from contracts.ports import LoggedMessage
from contracts.settings import Settings
from contracts.topics import EVENTS, ITEMS
from contracts.wire import encode
from feature_repo.archive import ArchiveWriter
from millstream.sources.online_retail import OnlineRetail
from millstream.sources.rejects import Rejects
from streams.agents.archive import ARCHIVED, ArchiveAgent
from streams.metrics import StreamMetrics
from streams.state import item_features, user_features
from streams.state.admission import Place
from streams.state.item_features import ItemFeatureState
from streams.state.rules import Rules
from streams.state.user_features import Attributes
from streams.state.user_state import UserState, step
from training.data.archived_log import archive_join
from training.data.feature_join import FeatureRows, Wanted

LIVE = (1, 3, 7, 31, 2, 13, 5)
REPLAY = (1, 3, 7, 31, 2, 113, 500, 5)
"""Sizes of the batches, over and over."""

ROUNDING = 1e-9

Logged = Impression | Interaction
Rows = UserFeatures | ItemFeatures | None


@dataclass
class Noted:
    """The streams' rows, each with the time (ms) that it is the newest one before."""

    users: dict[tuple[UserId, int], UserFeatures | None] = field(default_factory=dict)
    items: dict[tuple[ItemId, int], ItemFeatures | None] = field(default_factory=dict)

    def wanted(self) -> Wanted:
        """The rows to ask a join for."""
        return Wanted(tuple(self.users), tuple(self.items))


@dataclass(frozen=True)
class Parity:
    """How many rows were compared, and those that differ: whose, when, in which feature, both values.

    Attributes:
        differing: Name of the feature, and the rest in words.
    """

    compared: int
    differing: tuple[tuple[str, str], ...]

    @property
    def share(self) -> float:
        """The share of rows that are equal, from 0 to 1."""
        return 1 - len(self.differing) / self.compared


class Folds:
    """The streams' states over a log, in the order in which the agents fold a batch."""

    def __init__(self, catalogue: Mapping[ItemId, Attributes], rules: Rules) -> None:
        self._catalogue = catalogue
        self._rules = rules
        self._users: dict[UserId, UserState] = defaultdict(UserState)
        self._items: dict[ItemId, ItemFeatureState] = defaultdict(ItemFeatureState)
        self._changed: set[UserId] = set()
        self._touched: set[ItemId] = set()

    def batch(self, events: Sequence[tuple[Place, Logged]]) -> None:
        """One batch of one partition: all its users, then the items that they touched, each at once."""
        touches = defaultdict(list)
        for place, event in events:
            attributes = None if isinstance(event, Impression | Search) else self._catalogue.get(event.item_id)
            one = step(self._users[event.user_id], event, attributes, place, self._rules)
            self._users[event.user_id] = one.state
            self._changed.add(event.user_id)
            for item_id, touch in one.touches:
                touches[item_id].append(touch)
        for item_id, of_item in touches.items():
            for touch in of_item:
                self._items[item_id], _ = item_features.fold(self._items[item_id], touch, self._rules)
        self._touched.update(touches)

    def note(self, noted: Noted, at_ms: int) -> None:
        """Notes the rows that have changed since the last time, as those before `at_ms`."""
        for user_id in self._changed:
            state = self._users[user_id].features
            noted.users[user_id, at_ms] = user_features.row(state, self._rules) if state.row_us else None
        for item_id in self._touched:
            state = self._items[item_id]
            noted.items[item_id, at_ms] = item_features.row(state, state.last_event_ms, self._rules)
        self._changed.clear()
        self._touched.clear()


def parity(log: Sequence[Logged], items: Sequence[Item], state_dir: Path, sizes: Sequence[int] = LIVE) -> Parity:
    """Folds and archives a log, and compares.

    Args:
        log: Events in the order of their time.
        items: The catalogue, loaded before the log is replayed: now.
        state_dir: An empty folder for the archive.
        sizes: Of the batches.
    """
    settings = Settings(state_dir=state_dir)
    archive = _archive_agent(settings)
    archive.take([_message(n, ItemUpserted(item=item)) for n, item in enumerate(items)])
    folds = Folds({item.item_id: Attributes(item.category, item.brand) for item in items}, Rules.of(settings))
    noted, newest_ms = Noted(), 0
    for batch in _batches(log, sizes):
        at_ms = to_ms(batch[0][1].at)
        if newest_ms < at_ms:
            folds.note(noted, at_ms)
        by_partition: dict[int, list[tuple[Place, Logged]]] = defaultdict(list)
        for place, event in batch:
            by_partition[place.partition].append((place, event))
            newest_ms = max(newest_ms, to_ms(event.at))
        for of_partition in by_partition.values():
            folds.batch(of_partition)
            archive.take([_logged(place, event) for place, event in of_partition])
    folds.note(noted, newest_ms + 1)
    archive.flush(_NoReader())
    return _compared(noted, archive_join(settings)(noted.wanted()))


def _compared(noted: Noted, joined: FeatureRows) -> Parity:
    pairs: list[tuple[Any, Rows, Rows]] = [
        *((key, row, other) for (key, row), other in zip(noted.users.items(), joined.users, strict=True)),
        *((key, row, other) for (key, row), other in zip(noted.items.items(), joined.items, strict=True)),
    ]
    differing = [(told[0], f"{key}: {told[1]}") for key, row, other in pairs if (told := difference(row, other))]
    return Parity(len(pairs), tuple(differing))


def difference(one: Rows, other: Rows) -> tuple[str, str] | None:
    """The first feature in which two rows differ, and both values in words; None where they are equal."""
    if one is None or other is None:
        return None if one is other else ("row", f"found {other}; expected {one}")
    for each in fields(one):
        expected, found = getattr(one, each.name), getattr(other, each.name)
        if not _equal(expected, found):
            return each.name, f"{each.name}: found {found}; expected {expected}"
    return None


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    return math.isclose(one, other, rel_tol=ROUNDING) if isinstance(one, float) else bool(one == other)


def _batches(log: Sequence[Logged], sizes: Sequence[int]) -> Iterator[list[tuple[Place, Logged]]]:
    offsets = [0] * EVENTS.partitions
    each, start = cycle(sizes), 0
    while start < len(log):
        part = log[start : start + next(each)]
        placed = []
        for event in part:
            partition = zlib.crc32(event.user_id.encode()) % EVENTS.partitions
            placed.append((Place(partition, offsets[partition]), event))
            offsets[partition] += 1
        yield placed
        start += len(part)


def _archive_agent(settings: Settings) -> ArchiveAgent:
    return ArchiveAgent(
        open_reader=_NoReader,
        writers={dataset: ArchiveWriter(settings.archive_dir, dataset) for _, dataset in ARCHIVED.values()},
        metrics=StreamMetrics(CollectorRegistry()),
        flush_every_s=settings.archive_flush_every_s,
        clock=utc_now,
    )


def _message(offset: int, event: ItemUpserted) -> LoggedMessage:
    return LoggedMessage(ITEMS.name, 0, offset, event.item.item_id.encode(), encode(event))


def _logged(place: Place, event: Logged) -> LoggedMessage:
    return LoggedMessage(EVENTS.name, place.partition, place.offset, event.user_id.encode(), encode(event))


class _NoReader:
    """A group reader of a log that has been handed over already."""

    def poll(self, timeout_s: float) -> list[LoggedMessage]:
        return []

    def commit(self) -> None:
        pass

    def lag(self) -> dict[str, int]:
        return {}

    def close(self) -> None:
        pass


def main() -> None:
    """Compares on Online Retail and prints."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--events", type=int, default=0, help="the first so many; 0 for all")
    arguments.add_argument("--save", action="store_true")
    given = arguments.parse_args()
    if not FILE.exists():
        print(f"skipped: found no {FILE}; expected UCI Online Retail as Parquet")
        return
    on = machine()
    with tempfile.TemporaryDirectory() as folder:
        source = OnlineRetail(FILE, Rejects(Path(folder) / "rejects.jsonl"))
        log = sorted(source.events(), key=lambda event: event.at)[: given.events or None]
        items = [item.model_copy(update={"category": item.item_id[:2]}) for item in source.items()]
        result: dict[str, Any] = {"machine": on, "events": len(log)}
        for name, sizes in (("live", LIVE), ("replay", REPLAY)):
            found = parity(log, items, Path(folder) / name, sizes)
            features = Counter(feature for feature, _ in found.differing)
            print(
                f"{name}: {len(log)} events, {found.compared} rows compared: {found.share:.3%} equal; {dict(features)}"
            )
            print(*(words for _, words in found.differing[:5]), sep="\n")
            result[name] = {"rows": found.compared, "equal_share": found.share, "differing": features}
    if given.save:
        print("saved:", save("feature_parity", result))


if __name__ == "__main__":
    main()
