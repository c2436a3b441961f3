"""The archive: partitioned Parquet, appended by the streams and read by training and by Feast's offline store.

A file appears whole (temporary name, fsync, rename). A redelivered message may be written twice: the reader keeps one
row an identity.
"""

import os
import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from contracts.clock import Clock, utc_now
from contracts.ids import time_ordered_id
from feature_repo.archive_schemas import DATASETS, Dataset

EMPTY_DATE = "1970-01-01"


class ArchiveWriter:
    """Buffers the rows of one dataset and writes a file a date at each `flush`; safe to share between threads.

    Args:
        directory: Root of the archive.
        dataset: A name of `feature_repo.archive_schemas.DATASETS`.
        clock: Names the files in the order of their writing.
    """

    def __init__(self, directory: Path, dataset: str, clock: Clock = utc_now):
        self._dataset = DATASETS[dataset]
        self._directory = directory / dataset
        self._clock = clock
        self._lock = threading.Lock()
        self._rows: list[dict[str, Any]] = []

    def append(self, rows: Iterable[dict[str, Any]]) -> None:
        """Buffers rows of `feature_repo.archive_rows`; nothing is on disk before `flush`."""
        with self._lock:
            self._rows.extend(rows)

    def pending(self) -> int:
        """How many rows wait for `flush`."""
        return len(self._rows)

    def flush(self) -> list[Path]:
        """Writes what is buffered; the rows are kept for another try when the disk refuses.

        Returns:
            The new files, one for each date of the rows; none when nothing was buffered.
        """
        with self._lock:
            rows, self._rows = self._rows, []
        by_date: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            by_date.setdefault(row[self._dataset.time].astimezone(UTC).date().isoformat(), []).append(row)
        written = []
        while by_date:
            date, part = by_date.popitem()
            try:
                written.append(self._write(date, part))
            except OSError:
                unwritten = [row for rest in (part, *by_date.values()) for row in rest]
                with self._lock:
                    self._rows = unwritten + self._rows
                raise
        return written

    def ensure_readable(self) -> None:
        """Writes an empty file with the schema where the dataset has no file: a glob over it then finds one."""
        if not any(self._directory.glob("date=*/part-*.parquet")):
            self._write(EMPTY_DATE, [])

    def _write(self, date: str, rows: Sequence[dict[str, Any]]) -> Path:
        table = pa.Table.from_pylist(list(rows), schema=self._dataset.schema)
        partition = self._directory / f"date={date}"
        partition.mkdir(parents=True, exist_ok=True)
        path = partition / f"{time_ordered_id('part', self._clock())}.parquet"
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
        return path


class ArchiveReader:
    """Reads datasets of the archive, each row once.

    Args:
        directory: Root of the archive.
    """

    def __init__(self, directory: Path):
        self._directory = directory

    def read(self, dataset: str, columns: Sequence[str] | None = None, since: datetime | None = None) -> pa.Table:
        """The rows of a dataset in the order of their event time.

        Args:
            dataset: A name of `feature_repo.archive_schemas.DATASETS`.
            columns: The columns wanted; all when None.
            since: Only rows whose event time is not before; all when None.

        Returns:
            An Arrow table, empty where nothing was archived yet.
        """
        kept = DATASETS[dataset]
        names = list(columns) if columns is not None else kept.schema.names
        files = sorted(str(path) for path in self._files(kept, since))
        if not files:
            return pa.schema([kept.schema.field(name) for name in names]).empty_table()
        wanted = ", ".join(f'"{name}"' for name in names)
        identity = ", ".join(f'"{name}"' for name in kept.identity)
        condition = f'WHERE "{kept.time}" >= $since' if since is not None else ""
        query = f"""
            SELECT {wanted} FROM (
                SELECT *, row_number() OVER (PARTITION BY {identity} ORDER BY filename DESC) AS writing
                FROM read_parquet($files, hive_partitioning = false, filename = true) {condition}
            ) WHERE writing = 1 ORDER BY "{kept.time}", {identity}
        """  # noqa: S608 - names come from the schemas above, values are parameters
        values: dict[str, object] = {"files": files} | ({"since": since} if since is not None else {})
        connection = duckdb.connect()
        try:
            connection.execute("SET TimeZone = 'UTC'")
            table = connection.sql(query, params=values).to_arrow_table()
        finally:
            connection.close()
        return table.cast(pa.schema([kept.schema.field(name) for name in names]))

    def _files(self, kept: Dataset, since: datetime | None) -> Iterable[Path]:
        first = "" if since is None else f"date={since.astimezone(UTC).date().isoformat()}"
        root = self._directory / kept.name
        return (path for path in root.glob("date=*/part-*.parquet") if path.parent.name >= first)
