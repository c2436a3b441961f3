"""The archive agent: events, feedback, items and vectors to Parquet, in a thread and a consumer group of its own.

It keeps no state, so it reads with a plain consumer: a Faust stream would cost more than the work. The protocol:

1. read messages; 2. buffer their rows; 3. flush all datasets, each file whole or not there; 4. commit the offsets.

A crash before 4 reads the messages since the last commit again. Rows that were flushed are then written twice, and the
reader keeps one row an identity; rows that were not flushed are not lost, since their offsets were not committed.

While the disk or the log is away nothing more is read, and `waiting` says so. A message that no row can hold is refused
alone. After an unexpected error the thread begins anew from the last commit; the third in a row ends the process.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from contracts.clock import Clock, utc_now
from contracts.errors import BadInput, LogUnavailable
from contracts.ports import LoggedMessage
from contracts.topics import EVENTS, FEEDBACK, ITEM_VECTORS, ITEMS, Topic
from feature_repo.archive import Unstorable
from feature_repo.archive_merge import Merged
from feature_repo.archive_rows import Row
from streams.archived_messages import row_of
from streams.health import EXIT_STALLED
from streams.metrics import StreamMetrics

log = logging.getLogger(__name__)

ARCHIVED: dict[str, tuple[Topic, str]] = {
    EVENTS.name: (EVENTS, "events"),
    FEEDBACK.name: (FEEDBACK, "feedback"),
    ITEMS.name: (ITEMS, "items"),
    ITEM_VECTORS.name: (ITEM_VECTORS, "item_vectors"),
}
"""Topic name to topic and dataset."""

Result = TypeVar("Result")

FLUSH_AT_ROWS = 20_000
RETRY_S = 1.0

FAILURES_IN_A_ROW = 3
"""Unexpected errors without a commit between them, after which the process is ended."""

MERGE_EVERY_S = 30.0
"""Pause between two looks for files to merge."""

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

    def append(self, rows: Iterable[Row]) -> Sequence[Unstorable]:
        """Buffers rows; returns those that cannot be stored."""
        ...

    def flush(self) -> Sequence[object]:
        """Writes what is buffered. Raises OSError and keeps the rows."""
        ...

    def forget(self) -> None:
        """Drops what is buffered."""
        ...


def end_process(reason: str) -> None:
    """Ends the process, so that it is started anew."""
    log.critical("giving up, to be started anew: %s", reason)
    logging.shutdown()
    os._exit(EXIT_STALLED)


class ArchiveAgent:
    """The thread.

    Args:
        open_reader: Opens the group reader; called in the thread.
        writers: A writer for each dataset of `ARCHIVED`.
        metrics: Counts rows by dataset, and what went wrong.
        flush_every_s: Age of the oldest buffered row at which all is flushed.
        clock: Now, to pass over events of the future.
        refuse: Called with a message that no row can hold, and with the reason.
        merge: Merges some files where that is due, and tells what it did; None where nothing was.
        give_up: Called with the reason when the process must end.
        done: Called with the number of each step that is done.
    """

    def __init__(
        self,
        *,
        open_reader: Callable[[], Reader],
        writers: Mapping[str, Writer],
        metrics: StreamMetrics,
        flush_every_s: float,
        clock: Clock = utc_now,
        refuse: Callable[[LoggedMessage, Exception], None] = lambda message, error: None,
        merge: Callable[[], Merged | None] = lambda: None,
        give_up: Callable[[str], None] = end_process,
        done: Callable[[int], None] = lambda step: None,
    ):
        self._open_reader = open_reader
        self._writers = writers
        self._metrics = metrics
        self._flush_every_s = flush_every_s
        self._clock = clock
        self._refuse = refuse
        self._merge = merge
        self._give_up = give_up
        self._done = done
        self._buffered = self._taken = 0
        self._flushed_s = time.monotonic()
        self._merged_s = time.monotonic()
        self._failures = 0
        self._waiting = ""
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

    def waiting(self) -> dict[str, str]:
        """What the archive waits for, for the heartbeat; empty while it archives."""
        return {"archive": self._waiting} if self._waiting else {}

    def take(self, messages: Sequence[LoggedMessage]) -> None:
        """Steps 1 and 2. What cannot be read is passed over: the agent that uses the topic dead-letters it."""
        self._done(1)
        taken: dict[str, list[tuple[LoggedMessage, Row]]] = {}
        for message in messages:
            row = self._row_or_none(message)
            if row is not None:
                taken.setdefault(ARCHIVED[message.topic][1], []).append((message, row))
        for dataset, of_dataset in taken.items():
            unstorable = self._writers[dataset].append(row for _, row in of_dataset)
            for one in unstorable:
                self._refused(of_dataset[one.place][0], one.error)
            stored = len(of_dataset) - len(unstorable)
            self._metrics.archived.labels(dataset).inc(stored)
            self._buffered += stored
        self._taken += len(messages)
        self._done(2)

    def flush(self, reader: Reader) -> None:
        """Steps 3 and 4. Raises OSError or LogUnavailable; rows and offsets are then kept for the next time."""
        for writer in self._writers.values():
            writer.flush()
            self._done(3)
        reader.commit()
        self._done(4)
        self._buffered = 0
        if self._taken:
            self._failures = self._taken = 0
        self._flushed_s = time.monotonic()
        self._lag = reader.lag()

    def _row_or_none(self, message: LoggedMessage) -> Row | None:
        try:
            return row_of(message, self._clock())
        except BadInput as error:
            log.debug("not archived: %s", error)
        except (OSError, MemoryError):
            raise  # the machine's fault, not the message's
        except Exception as error:  # noqa: BLE001 - whatever one message does, it alone is refused
            self._refused(message, error)
        return None

    def _refused(self, message: LoggedMessage, error: Exception) -> None:
        self._metrics.archive_refused.labels(message.topic).inc()
        log.error(
            "not archived: found %r in %s/%d at offset %d; expected a row of %s",
            error, message.topic, message.partition, message.offset, ARCHIVED[message.topic][1],
        )  # fmt: skip
        self._refuse(message, error)

    def _due(self) -> bool:
        return self._buffered >= FLUSH_AT_ROWS or time.monotonic() - self._flushed_s >= self._flush_every_s

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._work()
            except Exception as error:
                self._failures += 1
                self._metrics.archive_restarts.inc()
                log.exception("the archive begins anew from its last commit")
                if self._failures >= FAILURES_IN_A_ROW:
                    self._give_up(f"the archive failed {self._failures} times in a row, at last with {error!r}")
                    return
                self._stopping.wait(RETRY_S)

    def _work(self) -> None:
        """Archives from the last commit until it is stopped; what is buffered is dropped, for it comes again."""
        for writer in self._writers.values():
            writer.forget()
        self._buffered = self._taken = 0
        reader = self._open_reader()
        try:
            while not self._stopping.is_set():
                # Nothing is read while rows wait for the disk or the log: the buffer keeps its bound.
                if self._waiting or self._due():
                    self._tried(lambda: self.flush(reader))
                else:
                    self._round(self._tried(lambda: reader.poll(0.2)) or [])
            self._tried(lambda: self.flush(reader))
        finally:
            reader.close()

    def _round(self, messages: list[LoggedMessage]) -> None:
        """Whatever is raised here begins anew: a part of the messages may not be buffered, so none may be committed."""
        started_s = time.monotonic()
        if messages:
            self.take(messages)
        if len(messages) >= BEHIND_AT:
            self._stopping.wait(REST_SHARE * (time.monotonic() - started_s))
        elif started_s - self._merged_s >= MERGE_EVERY_S:
            self._merge_some()

    def _merge_some(self) -> None:
        self._merged_s = time.monotonic()
        try:
            merged = self._merge()
        except Exception:  # merging is housekeeping, and never holds up what is to be kept
            self._metrics.retries.labels("archive_merge").inc()
            log.exception("archive files wait to be merged")
            return
        if merged is not None:
            self._metrics.archive_merged.labels(merged.dataset).inc(merged.files)

    def _tried(self, action: Callable[[], Result]) -> Result | None:
        """What the action gives; None where the disk or the log is away, after a pause."""
        try:
            result = action()
        except (OSError, LogUnavailable) as error:
            self._metrics.retries.labels("archive").inc()
            self._metrics.archive_waiting.set(1)
            self._waiting = str(error)
            log.warning("the archive waits: %s; trying again in %.1f s", error, RETRY_S)
            self._stopping.wait(RETRY_S)
            return None
        self._metrics.archive_waiting.set(0)
        self._waiting = ""
        return result
