"""Feature rows on their way to the online store: kept newest per key, written in batches by a thread of their own.

While the store is away rows wait, one a key, and are tried again with back-off. A row is a function of the log, so it
may be written before the batch that made it is counted as done; the offset of what is not written yet is `held`, and
nothing behind it is committed: after a crash the events come again, and with them the rows.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from contracts.clock import Clock, utc_now
from contracts.errors import Unavailable
from contracts.features import ItemFeatures, UserFeatures
from contracts.ids import EventId
from contracts.ports import EventLog
from contracts.topics import TRACES
from contracts.traces import Stage, TraceStamp
from contracts.wire import encode
from streams.metrics import StreamMetrics

log = logging.getLogger(__name__)

Row = TypeVar("Row", UserFeatures, ItemFeatures)

WRITE_LIMIT = 500
LAST_RETRY_S = 5.0
REST_SHARE = 3.0
"""The rest after a write, as a multiple of how long the write took."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

HOLDS_NOTHING = 1 << 62
"""Offset of a row of the past: no commit waits for it."""

FAILURES_BEFORE_THE_END = 3
"""Unexpected failures in a row after which the process is given up, to be started anew."""


def row_time(row_us: int) -> datetime:
    """The event time of a row from a state's microseconds."""
    return EPOCH + timedelta(microseconds=row_us)


@dataclass(frozen=True)
class Offer(Generic[Row]):
    """A row to be written.

    Attributes:
        at: Its event time.
        row: Makes it.
        partition: Of the messages that it was folded from.
        offset: The first of those messages that is in no row written yet.
        traced: The traced events in it.
        folded_s: When it was folded, seconds of the monotonic clock.
    """

    at: datetime
    row: Callable[[], Row]
    partition: int = 0
    offset: int = 0
    traced: tuple[EventId, ...] = ()
    folded_s: float | None = None


@dataclass(frozen=True)
class Sink(Generic[Row]):
    """Where rows go.

    Attributes:
        entity: `user` or `item`; the label of the metrics.
        write: Writes the online store, and for items the topic; raises Unavailable.
    """

    entity: str
    write: Callable[[Mapping[str, tuple[datetime, Row]]], None]


class FeatureWriter(Generic[Row]):
    """Writes rows of one entity every `every_s`.

    Args:
        sink: Where rows go.
        log: Takes the stamps of traced events.
        metrics: Counts rows, ages and retries.
        every_s: Pause between two writes; rows of one key offered within it become one write.
        clock: Time of the stamps.
        give_up: Ends the process so that it is started anew; called with the reason.
    """

    def __init__(
        self,
        sink: Sink[Row],
        log: EventLog,
        metrics: StreamMetrics,
        every_s: float,
        clock: Clock = utc_now,
        give_up: Callable[[str], None] = lambda _: None,
    ):
        self._give_up = give_up
        self._sink: Sink[Row] = sink
        self._log = log
        self._metrics = metrics
        self._every_s = every_s
        self._clock = clock
        # By partition, in the order of their offsets.
        self._pending: dict[int, dict[str, Offer[Row]]] = {}
        self._restored: dict[int, dict[str, Offer[Row]]] = {}
        self._writing: dict[int, int] = {}
        self._rewriting: Counter[int] = Counter()
        self._traced: set[tuple[int, str]] = set()
        self._changed = threading.Condition()
        self._failed = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{sink.entity}-features", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Writes what waits, if the store takes it at once, and ends the thread."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def offer(self, key: str, offer: Offer[Row]) -> None:
        """Hands over a key's newest row; returns at once."""
        with self._changed:
            of_partition = self._pending.setdefault(offer.partition, {})
            of_partition[key] = _newer(offer, of_partition.get(key))
            if offer.traced:
                self._traced.add((offer.partition, key))
            self._changed.notify_all()

    def restore(self, key: str, offer: Offer[Row]) -> None:
        """As `offer`, for a row of the past that is written again: live rows go first, and it holds no offset."""
        offer = replace(offer, offset=HOLDS_NOTHING)
        with self._changed:
            of_partition = self._restored.setdefault(offer.partition, {})
            of_partition[key] = _newer(offer, of_partition.get(key))
            self._changed.notify_all()

    def held(self, partition: int) -> int | None:
        """The lowest offset of the partition with a row that is not written yet; None when all are."""
        with self._changed:
            first = next(iter(self._pending.get(partition, {}).values()), None)
            offsets = [self._writing.get(partition), first.offset if first is not None else None]
            return min((offset for offset in offsets if offset is not None), default=None)

    def restoring(self, partition: int) -> int:
        """How many rows handed to `restore` are not written yet."""
        with self._changed:
            return len(self._restored.get(partition, ())) + self._rewriting[partition]

    def waiting(self) -> int:
        """How many rows wait."""
        with self._changed:
            return sum(map(len, self._pending.values()))

    def drop(self, partition: int) -> None:
        """The partition has another owner: its rows are that one's to write."""
        with self._changed:
            self._pending.pop(partition, None)
            self._restored.pop(partition, None)
            self._traced = {(number, key) for number, key in self._traced if number != partition}

    def flush(self, traced_only: bool = False) -> int:
        """Writes the next rows, at most `WRITE_LIMIT`.

        Args:
            traced_only: Leave rows without a traced event for later.

        Returns:
            How many.

        Raises:
            Unavailable: the store is away; the rows wait on.
        """
        taken = self._taken(traced_only)
        if not taken:
            return 0
        written = False
        try:
            self._sink.write({key: (offer.at, offer.row()) for key, offer in taken.items()})
            written = True
        finally:
            self._finish(taken, written)
        self._count(taken)
        return len(taken)

    def _finish(self, taken: Mapping[str, Offer[Row]], written: bool) -> None:
        """What was not written goes back in front of what came meanwhile; of a dropped partition nothing does."""
        with self._changed:
            for partition in {offer.partition for offer in taken.values()}:
                dropped = partition not in self._pending
                self._writing.pop(partition, None)
                self._rewriting.pop(partition, None)
                if written or dropped:
                    continue
                of_partition = {key: offer for key, offer in taken.items() if offer.partition == partition}
                past = {key: offer for key, offer in of_partition.items() if offer.offset == HOLDS_NOTHING}
                self._restored[partition] = past | self._restored.get(partition, {})
                later = self._pending[partition]
                back = {key: offer for key, offer in of_partition.items() if key not in past}
                merged = {key: _newer(later.pop(key), offer) if key in later else offer for key, offer in back.items()}
                both = {**merged, **later}
                self._pending[partition] = dict(sorted(both.items(), key=lambda item: item[1].offset))
                self._traced |= {(partition, key) for key, offer in merged.items() if offer.traced}

    def _taken(self, traced_only: bool) -> dict[str, Offer[Row]]:
        with self._changed:
            taken: dict[str, Offer[Row]] = {}
            if traced_only:
                chosen = list(self._traced)[:WRITE_LIMIT]
            else:
                chosen = [(number, key) for number, of_it in self._pending.items() for key in of_it][:WRITE_LIMIT]
            for number, key in chosen:
                self._traced.discard((number, key))
                offer = self._pending[number].pop(key)
                taken[key] = _newer(offer, self._restored.get(number, {}).pop(key, None))
                self._writing[number] = min(self._writing.get(number, offer.offset), offer.offset)
            if not traced_only:
                for number, of_it in self._restored.items():
                    for key in list(of_it)[: WRITE_LIMIT - len(taken)]:
                        taken[key] = of_it.pop(key)
                        self._rewriting[number] += 1
                        self._pending.setdefault(number, {})
            self._metrics.features_pending.labels(self._sink.entity).set(
                sum(map(len, self._pending.values())) + sum(map(len, self._restored.values()))
            )
        return taken

    def _count(self, written: Mapping[str, Offer[Row]]) -> None:
        self._metrics.features_written.labels(self._sink.entity).inc(len(written))
        now_s = time.monotonic()
        age = self._metrics.feature_age_seconds.labels(self._sink.entity)
        for offer in written.values():
            if offer.folded_s is not None:
                age.observe(now_s - offer.folded_s)
            for event_id in offer.traced:
                stamp = TraceStamp(event_id=event_id, stage=Stage.FEATURES_WRITTEN, at=self._clock())
                self._log.publish(TRACES, event_id, encode(stamp))

    def _any(self) -> bool:
        return any(self._pending.values()) or any(self._restored.values())

    def _run(self) -> None:
        rest_s = 0.0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._any() or self._stopping.is_set())
                # After a long write the writer rests, so that a replay of much folds more than it writes; a traced
                # event, which somebody waits for, ends the rest.
                self._changed.wait_for(lambda: self._traced or self._stopping.is_set(), rest_s)
                hurried = bool(self._traced) and not self._stopping.is_set()
            stopping = self._stopping.is_set()
            started_s = time.monotonic()
            wait_s = self._every_s
            try:
                self.flush(traced_only=hurried and rest_s > 0)
                rest_s = max(0.0, REST_SHARE * (time.monotonic() - started_s) - self._every_s)
            except Unavailable as error:
                self._metrics.retries.labels(f"{self._sink.entity}_features").inc()
                self._failed += 1
                wait_s = min(self._every_s * 2**self._failed, LAST_RETRY_S)
                log.warning("%s features wait: %s; retrying in %.1f s", self._sink.entity, error, wait_s)
            except Exception:
                self._metrics.retries.labels(f"{self._sink.entity}_features").inc()
                self._failed += 1
                log.exception("%s features failed, %d in a row", self._sink.entity, self._failed)
                if self._failed >= FAILURES_BEFORE_THE_END:
                    self._give_up(f"{self._sink.entity} features failed {self._failed} times in a row")
            else:
                self._failed = 0
            if stopping:
                return
            self._stopping.wait(wait_s)


def _newer(one: Offer[Row], other: Offer[Row] | None) -> Offer[Row]:
    """The later row of the two (the first when equal), with what both have held up, traced and waited for."""
    if other is None:
        return one
    times_s = [time_s for time_s in (one.folded_s, other.folded_s) if time_s is not None]
    row = one.row if one.at >= other.at else other.row
    traced = tuple(dict.fromkeys(one.traced + other.traced))
    offset = min(one.offset, other.offset)
    return Offer(max(one.at, other.at), row, one.partition, offset, traced, min(times_s, default=None))
