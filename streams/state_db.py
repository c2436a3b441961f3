"""One partition's states on local disk: a copy of its changelog, and nothing that the changelog does not have.

SQLite keeps the states, the offset up to which the changelog was applied, the mark and the watermark in one
transaction: a crash at any point leaves them in step, a lost tail of the write-ahead log takes them back together, and
a full disk rolls the whole transaction back. What is damaged is deleted and read from the changelog again.
"""

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from contracts.errors import StateUnavailable

log = logging.getLogger(__name__)

CACHE_KIB = 16_384
"""Page cache of one partition; the rest is the operating system's."""

PAGE_BYTES = 8192
WAL_PAGES = 2000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS states (
    key BLOB PRIMARY KEY, mark INTEGER NOT NULL, opened_ms INTEGER, seen_ms INTEGER NOT NULL, value BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS windows ON states (opened_ms) WHERE opened_ms IS NOT NULL;
CREATE TABLE IF NOT EXISTS progress (
    one INTEGER PRIMARY KEY CHECK (one = 1), applied INTEGER NOT NULL, mark INTEGER NOT NULL,
    watermark_ms INTEGER NOT NULL, muted_until INTEGER NOT NULL, origin BLOB NOT NULL
);
INSERT OR IGNORE INTO progress VALUES (1, -1, -1, 0, 0, X'');
"""

_UPSERT = """
INSERT INTO states (key, mark, opened_ms, seen_ms, value) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET mark = excluded.mark, opened_ms = excluded.opened_ms,
    seen_ms = max(excluded.seen_ms, states.seen_ms), value = excluded.value
WHERE excluded.mark >= states.mark
"""


@dataclass(frozen=True)
class Record:
    """One state as the changelog carries it.

    Attributes:
        key: The user's or item's id.
        value: The encoded state; None takes it away.
        mark: Offset in the source partition up to which the state is folded: of two states of a key, the one with the
            higher mark is the newer one, wherever they stand in the changelog.
        opened_ms: Event time at which its oldest open window began; None when none is open.
        seen_ms: Event time at which it was seen last, or somewhat later.
    """

    key: bytes
    value: bytes | None
    mark: int
    opened_ms: int | None = None
    seen_ms: int = 0


@dataclass
class Progress:
    """How far the copy is.

    Attributes:
        applied: The changelog's last offset that is in the copy; -1 for none.
        mark: The highest mark applied.
        watermark_ms: The newest event time applied.
        muted_until: Source offset below which a rebuild publishes no examples again.
        origin: Names the changelog that it is a copy of, since a rebuild makes another one.
    """

    applied: int = -1
    mark: int = -1
    watermark_ms: int = 0
    muted_until: int = 0
    origin: bytes = b""


@dataclass(frozen=True)
class Rebuilt:
    """The first message of a changelog that a rebuild has made: see `Progress`."""

    muted_until: int
    origin: bytes


class StateDb:
    """The copy of one partition; from any thread, one call after another.

    Args:
        path: The database's file; made where it is not there.

    Attributes:
        damaged: The file was found unreadable: `wipe` it and read the changelog again.

    Raises:
        StateUnavailable: the disk is full or away.
    """

    def __init__(self, path: Path):
        self._path = path
        self._progress = Progress()
        # A call in a thread goes on after its caller was cancelled: closing the file waits for its end.
        self._lock = threading.RLock()
        self.damaged = False
        try:
            self._connection = self._opened()
        except sqlite3.OperationalError as error:
            raise self._unavailable(error) from error
        except sqlite3.DatabaseError as error:
            log.warning("%s is damaged (%s); it is read from the changelog again", path, error)
            self.wipe()
        except OSError as error:
            raise self._unavailable(error) from error

    @property
    def progress(self) -> Progress:
        """How far the copy is. Do not change it."""
        return self._progress

    def get(self, key: bytes) -> bytes | None:
        """The state of a key. Raises StateUnavailable."""
        with self._reading():
            row = self._connection.execute("SELECT value FROM states WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def mark_of(self, key: bytes) -> int:
        """The mark of a key's state; -1 where there is none."""
        with self._reading():
            row = self._connection.execute("SELECT mark FROM states WHERE key = ?", (key,)).fetchone()
        return -1 if row is None else int(row[0])

    def apply(self, records: Sequence[Record], applied: int, rebuilt: Rebuilt | None = None) -> list[bytes]:
        """Writes records and the changelog's offset behind them, together or not at all.

        Args:
            records: In the changelog's order.
            applied: The changelog's last offset that is then in the copy.
            rebuilt: Found in the changelog; None leaves what is known.

        Returns:
            Keys whose state in the copy is newer than the record: a worker that had lost the partition wrote those.

        Raises:
            StateUnavailable: the disk is full or away; the copy is as before.
        """
        now = self._progress
        after = Progress(
            max(now.applied, applied),
            max((record.mark for record in records), default=now.mark),
            max((record.seen_ms for record in records), default=0),
            now.muted_until if rebuilt is None else rebuilt.muted_until,
            now.origin if rebuilt is None else rebuilt.origin,
        )
        after.mark, after.watermark_ms = max(after.mark, now.mark), max(after.watermark_ms, now.watermark_ms)
        try:
            with self._lock, _Transaction(self._connection):
                stale = [record.key for record in records if not self._written(record)]
                self._connection.execute(
                    "UPDATE progress SET applied = ?, mark = ?, watermark_ms = ?, muted_until = ?, origin = ?",
                    (after.applied, after.mark, after.watermark_ms, after.muted_until, after.origin),
                )
        except sqlite3.DatabaseError as error:
            raise self._failed(error) from error
        self._progress = after
        return stale

    def due(self, until_ms: int, after: tuple[int, bytes], limit: int) -> list[tuple[int, bytes]]:
        """States with a window that began at or before `until_ms`, as (begin, key) in that order, behind `after`."""
        with self._reading():
            return self._connection.execute(
                "SELECT opened_ms, key FROM states WHERE opened_ms IS NOT NULL AND opened_ms <= ? "
                "AND (opened_ms, key) > (?, ?) ORDER BY opened_ms, key LIMIT ?",
                (until_ms, *after, limit),
            ).fetchall()

    def scan(self, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """The next states by key behind `after`."""
        with self._reading():
            return self._connection.execute(
                "SELECT key, value FROM states WHERE key > ? ORDER BY key LIMIT ?", (after, limit)
            ).fetchall()

    def idle(self, before_ms: int, after: bytes, limit: int) -> tuple[list[bytes], bytes | None]:
        """Of the next `limit` keys behind `after` those not seen since `before_ms`, and the key to go on behind."""
        with self._reading():
            rows = self._connection.execute(
                "SELECT key, seen_ms FROM states WHERE key > ? ORDER BY key LIMIT ?", (after, limit)
            ).fetchall()
        return [key for key, seen_ms in rows if seen_ms < before_ms], rows[-1][0] if len(rows) == limit else None

    def open_windows(self) -> int:
        """How many states have an open window."""
        with self._reading():
            return int(
                self._connection.execute("SELECT count(*) FROM states WHERE opened_ms IS NOT NULL").fetchone()[0]
            )

    def rows(self) -> Iterator[tuple[bytes, int, bytes]]:
        """Every (key, mark, value); for tests and comparisons."""
        yield from self._connection.execute("SELECT key, mark, value FROM states ORDER BY key")

    def wipe(self) -> None:
        """Starts over, empty. Raises StateUnavailable."""
        with self._lock:
            self.close()
            try:
                for suffix in ("", "-wal", "-shm"):
                    self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
                self._connection = self._opened()
                self.damaged = False
            except (sqlite3.DatabaseError, OSError) as error:
                raise self._unavailable(error) from error

    def close(self) -> None:
        """Closes the file; nothing is lost by a close that fails."""
        with self._lock, contextlib.suppress(sqlite3.Error, AttributeError):
            self._connection.close()

    def _opened(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=5.0)
        try:
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            connection.execute("PRAGMA journal_mode = WAL")
            # A power cut may take the newest transactions, never half of one: the changelog has them.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
            connection.executescript(_SCHEMA)
            row = connection.execute("SELECT applied, mark, watermark_ms, muted_until, origin FROM progress").fetchone()
        except BaseException:
            connection.close()
            raise
        self._progress = Progress(*row)
        return connection

    def _written(self, record: Record) -> bool:
        if record.value is None:
            self._connection.execute("DELETE FROM states WHERE key = ? AND mark <= ?", (record.key, record.mark))
            return self._connection.execute("SELECT 1 FROM states WHERE key = ?", (record.key,)).fetchone() is None
        row = (record.key, record.mark, record.opened_ms, record.seen_ms, record.value)
        return self._connection.execute(_UPSERT, row).rowcount > 0

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except sqlite3.DatabaseError as error:
            raise self._failed(error) from error

    def _failed(self, error: sqlite3.DatabaseError) -> StateUnavailable:
        self.damaged |= not isinstance(error, sqlite3.OperationalError)
        return self._unavailable(error)

    def _unavailable(self, error: BaseException) -> StateUnavailable:
        return StateUnavailable(
            f"found {error} at {self._path}; expected the streams' states to be read and written there; free space or "
            "mend the disk: nothing is lost meanwhile"
        )


class _Transaction:
    """BEGIN IMMEDIATE to COMMIT; anything raised rolls back."""

    def __init__(self, connection: sqlite3.Connection):
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            try:
                self._connection.execute("COMMIT")
            except sqlite3.Error:
                self._roll_back()
                raise
        else:
            self._roll_back()

    def _roll_back(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("ROLLBACK")
