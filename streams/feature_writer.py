"""Feature rows on their way to the online store: kept newest per key, written in batches by a thread of their own.

While the store is away rows wait, one a key, and are tried again with back-off. A row is a function of the log, so it
may be written before the batch that made it is acknowledged. After a crash the rows of all owned states are offered
again (`restore`), so nothing that was only in memory is missed.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


def row_time(row_us: int) -> datetime:
    """The event time of a row from a state's microseconds."""
    return EPOCH + timedelta(microseconds=row_us)


@dataclass(frozen=True)
class Offer(Generic[Row]):
    """A row to be written: its event time, how to make it, the traced events in it, and when it was folded."""

    at: datetime
    row: Callable[[], Row]
    traced: tuple[EventId, ...] = ()
    folded_s: float | None = None


@dataclass(frozen=True)
class Sink(Generic[Row]):
    """Where rows go, in this order.

    Attributes:
        entity: `user` or `item`; the label of the metrics.
        write: Writes the online store; raises Unavailable.
        after: Called with what was written: the archive, and for items the topic.
    """

    entity: str
    write: Callable[[Mapping[str, tuple[datetime, Row]]], None]
    after: Callable[[Mapping[str, tuple[datetime, Row]]], None]


class FeatureWriter(Generic[Row]):
    """Writes rows of one entity every `every_s`.

    Args:
        sink: Where rows go.
        log: Takes the stamps of traced events.
        metrics: Counts rows, ages and retries.
        every_s: Pause between two writes; rows of one key offered within it become one write.
        clock: Time of the stamps.
    """

    def __init__(self, sink: Sink[Row], log: EventLog, metrics: StreamMetrics, every_s: float, clock: Clock = utc_now):
        self._sink: Sink[Row] = sink
        self._log = log
        self._metrics = metrics
        self._every_s = every_s
        self._clock = clock
        self._pending: dict[str, Offer[Row]] = {}
        self._restored: dict[str, Offer[Row]] = {}
        self._traced: set[str] = set()
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
            self._keep(key, offer)
            self._changed.notify_all()

    def restore(self, key: str, offer: Offer[Row]) -> None:
        """As `offer`, for a row found in a table at start: live rows go first."""
        with self._changed:
            self._restored[key] = _newer(offer, self._restored.get(key))
            self._changed.notify_all()

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
        rows = {key: (offer.at, offer.row()) for key, offer in taken.items()}
        try:
            self._sink.write(rows)
        except Unavailable:
            with self._changed:
                for key, offer in taken.items():
                    self._keep(key, offer)
            raise
        self._sink.after(rows)
        self._count(taken)
        return len(rows)

    def _keep(self, key: str, offer: Offer[Row]) -> None:
        self._pending[key] = _newer(offer, self._pending.get(key))
        if offer.traced:
            self._traced.add(key)

    def _taken(self, traced_only: bool) -> dict[str, Offer[Row]]:
        with self._changed:
            keys = list(self._traced if traced_only else self._pending)[:WRITE_LIMIT]
            self._traced.difference_update(keys)
            taken = {key: _newer(self._pending.pop(key), self._restored.pop(key, None)) for key in keys}
            for key in [] if traced_only else list(self._restored)[: WRITE_LIMIT - len(taken)]:
                taken[key] = self._restored.pop(key)
            self._metrics.features_pending.labels(self._sink.entity).set(len(self._pending) + len(self._restored))
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

    def _run(self) -> None:
        rest_s = 0.0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending or self._restored or self._stopping.is_set())
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
            else:
                self._failed = 0
            if stopping:
                return
            self._stopping.wait(wait_s)


def _newer(one: Offer[Row], other: Offer[Row] | None) -> Offer[Row]:
    """The later row of the two (the first when equal), with the traced events of both and the earlier folding time."""
    if other is None:
        return one
    times_s = [time_s for time_s in (one.folded_s, other.folded_s) if time_s is not None]
    row = one.row if one.at >= other.at else other.row
    traced = tuple(dict.fromkeys(one.traced + other.traced))
    return Offer(max(one.at, other.at), row, traced, min(times_s, default=None))
