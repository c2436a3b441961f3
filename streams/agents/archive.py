"""The archive agent: events, feedback, items and vectors to Parquet, in a thread and a consumer group of its own.

It keeps no state, so it reads with a plain consumer: a Faust stream would cost more than the work. The protocol:

1. read messages; 2. buffer their rows; 3. flush all datasets, each file whole or not there; 4. commit the offsets.

A crash before 4 reads the messages since the last commit again. Rows that were flushed are then written twice, and the
reader keeps one row an identity; rows that were not flushed are not lost, since their offsets were not committed.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from contracts.clock import Clock, utc_now
from contracts.errors import BadInput, LogUnavailable
from contracts.examples import TrainingExample
from contracts.ports import LoggedMessage
from contracts.rows import ItemVectors
from contracts.topics import EVENTS, FEEDBACK, ITEM_VECTORS, ITEMS, Topic
from contracts.wire import decode, decode_catalogue_event, decode_user_event
from feature_repo.archive_rows import catalogue_row, event_row, example_row, vectors_row
from streams.metrics import StreamMetrics

log = logging.getLogger(__name__)

ARCHIVED: dict[str, tuple[Topic, str]] = {
    EVENTS.name: (EVENTS, "events"),
    FEEDBACK.name: (FEEDBACK, "feedback"),
    ITEMS.name: (ITEMS, "items"),
    ITEM_VECTORS.name: (ITEM_VECTORS, "item_vectors"),
}
"""Topic name to topic and dataset."""

FLUSH_AT_ROWS = 20_000
RETRY_S = 1.0

BEHIND_AT = 500
REST_SHARE = 2.0
"""While it is behind (a poll brings this many), the thread rests after its work this many times as long: the folding in
the same interpreter comes first."""


class Reader(Protocol):
    """What the agent needs of a group reader (`eventlog.group.GroupReader`)."""

    def poll(self, timeout_s: float) -> list[LoggedMessage]:
        """The next messages. Raises LogUnavailable."""
        ...

    def commit(self) -> None:
        """Keeps the progress up to what was polled. Raises LogUnavailable."""
        ...

    def lag(self) -> dict[str, int]:
        """Messages not yet polled, by topic."""
        ...

    def close(self) -> None:
        """Leaves the group."""
        ...


class Writer(Protocol):
    """What the agent needs of a dataset's writer (`feature_repo.archive.ArchiveWriter`)."""

    def append(self, rows: Sequence[dict[str, Any]]) -> None:
        """Buffers rows."""
        ...

    def flush(self) -> Sequence[object]:
        """Writes what is buffered. Raises OSError and keeps the rows."""
        ...


class ArchiveAgent:
    """The thread.

    Args:
        open_reader: Opens the group reader; called in the thread.
        writers: A writer for each dataset of `ARCHIVED`.
        others: Writers that other threads fill (the feature rows), flushed along.
        metrics: Counts rows by dataset.
        flush_every_s: Age of the oldest buffered row at which all is flushed.
        clock: Now, to pass over events of the future.
    """

    def __init__(
        self,
        *,
        open_reader: Callable[[], Reader],
        writers: Mapping[str, Writer],
        others: Sequence[Writer],
        metrics: StreamMetrics,
        flush_every_s: float,
        clock: Clock = utc_now,
    ):
        self._open_reader = open_reader
        self._writers = writers
        self._others = others
        self._metrics = metrics
        self._flush_every_s = flush_every_s
        self._clock = clock
        self._buffered = 0
        self._flushed_s = time.monotonic()
        self._lag: dict[str, int] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="archive", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Flushes, commits and ends the thread."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def lag(self) -> dict[str, int]:
        """Messages not yet archived, by topic, as of the last flush."""
        return dict(self._lag)

    def take(self, messages: Sequence[LoggedMessage]) -> None:
        """Steps 1 and 2. What cannot be read is passed over: the agent that uses the topic dead-letters it."""
        rows: dict[str, list[dict[str, Any]]] = {}
        for message in messages:
            dataset = ARCHIVED[message.topic][1]
            try:
                row = self._row(message)
            except BadInput as error:
                log.debug("not archived: %s", error)
                continue
            if row is not None:
                rows.setdefault(dataset, []).append(row)
        for dataset, of_dataset in rows.items():
            self._writers[dataset].append(of_dataset)
            self._metrics.archived.labels(dataset).inc(len(of_dataset))
            self._buffered += len(of_dataset)

    def flush(self, reader: Reader) -> None:
        """Steps 3 and 4. Raises OSError or LogUnavailable; rows and offsets are then kept for the next time."""
        for writer in (*self._writers.values(), *self._others):
            writer.flush()
        reader.commit()
        self._buffered = 0
        self._flushed_s = time.monotonic()
        self._lag = reader.lag()

    def _row(self, message: LoggedMessage) -> dict[str, Any] | None:
        if message.topic == EVENTS.name:
            return event_row(decode_user_event(message.value, self._clock()))
        if message.topic == FEEDBACK.name:
            return example_row(decode(TrainingExample, message.value))
        if message.topic == ITEMS.name:
            return catalogue_row(decode_catalogue_event(message.value, self._clock()))
        return None if message.value is None else vectors_row(decode(ItemVectors, message.value))

    def _due(self) -> bool:
        return self._buffered >= FLUSH_AT_ROWS or time.monotonic() - self._flushed_s >= self._flush_every_s

    def _run(self) -> None:
        reader = self._open_reader()
        try:
            while not self._stopping.is_set():
                self._tried(lambda: self._round(reader))
                if self._due():
                    self._tried(lambda: self.flush(reader))
            self._tried(lambda: self.flush(reader))
        finally:
            reader.close()

    def _round(self, reader: Reader) -> None:
        messages = reader.poll(0.2)
        started_s = time.monotonic()
        self.take(messages)
        if len(messages) >= BEHIND_AT:
            self._stopping.wait(REST_SHARE * (time.monotonic() - started_s))

    def _tried(self, action: Callable[[], None]) -> None:
        try:
            action()
        except (OSError, LogUnavailable) as error:
            self._metrics.retries.labels("archive").inc()
            log.warning("the archive waits: %s; trying again in %.1f s", error, RETRY_S)
            self._stopping.wait(RETRY_S)
