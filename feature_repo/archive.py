"""The archive: partitioned Parquet, appended by the streams and read by training.

A redelivered message may be written twice, and a merge (`archive_merge`) may leave rows in two files: the reader keeps
one row an identity.
"""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from contracts.clock import Clock, utc_now
from contracts.ids import time_ordered_id
from feature_repo.archive_files import check_formats, listed, write_file
from feature_repo.archive_rows import Row
from feature_repo.archive_schemas import DATASETS, PLACE, Dataset

ATTEMPTS = 5
"""Times that a dataset is listed anew when files of the listing have been merged before they were read."""

UNSTORABLE = (pa.ArrowException, ArithmeticError, ValueError, TypeError)
"""What Arrow, or the reckoning of a row's date, raises for a value that the columns cannot hold."""

_COMPARISONS = {"since": ">=", "until": "<"}


@dataclass(frozen=True)
class Unstorable:
    """A row that the dataset's columns cannot hold: its place among the rows given, and what Arrow says of it."""

    place: int
    error: Exception


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
        self._buffered: dict[str, list[pa.Table]] = {}

    def append(self, rows: Iterable[Row]) -> list[Unstorable]:
        """Buffers rows of `feature_repo.archive_rows`; nothing is on disk before `flush`.

        Returns:
            The rows that are not buffered, for no column can hold them, as a number beyond 64 bits; none as a rule.
        """
        given, refused = list(rows), list[Unstorable]()
        try:
            tables = self._tables(given)
        except UNSTORABLE:
            tables = {}
            for place, row in enumerate(given):
                try:
                    for date, of_date in self._tables([row]).items():
                        tables.setdefault(date, []).extend(of_date)
                except UNSTORABLE as error:
                    refused.append(Unstorable(place, error))
        with self._lock:
            for date, of_date in tables.items():
                self._buffered.setdefault(date, []).extend(of_date)
        return refused

    def pending(self) -> int:
        """How many rows wait for `flush`."""
        with self._lock:
            return sum(table.num_rows for tables in self._buffered.values() for table in tables)

    def forget(self) -> None:
        """Drops what is buffered: its messages will be read again."""
        with self._lock:
            self._buffered = {}

    def flush(self) -> list[Path]:
        """Writes what is buffered; the rows are kept for another try when the disk refuses.

        Returns:
            The new files, one for each date of the rows; none when nothing was buffered.

        Raises:
            OSError: the disk is full or away.
        """
        with self._lock:
            waiting, self._buffered = self._buffered, {}
        written = []
        for date in sorted(waiting):
            partition = self._directory / f"date={date}"
            try:
                written.append(
                    write_file(pa.concat_tables(waiting[date]), partition, time_ordered_id("part", self._clock()))
                )
            except OSError:
                with self._lock:
                    for kept in waiting:
                        self._buffered[kept] = waiting[kept] + self._buffered.get(kept, [])
                raise
            waiting[date] = []
        return written

    def _tables(self, rows: Sequence[Row]) -> dict[str, list[pa.Table]]:
        by_date: dict[str, list[Row]] = {}
        for row in rows:
            by_date.setdefault(row[self._dataset.time].astimezone(UTC).date().isoformat(), []).append(row)
        return {date: [pa.Table.from_pylist(part, schema=self._dataset.schema)] for date, part in by_date.items()}


class ArchiveReader:
    """Reads datasets of the archive, each row once.

    Args:
        directory: Root of the archive.
    """

    def __init__(self, directory: Path):
        self._directory = directory

    def read(
        self,
        dataset: str,
        columns: Sequence[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> pa.Table:
        """The rows of a dataset in the order of their event time.

        Args:
            dataset: A name of `feature_repo.archive_schemas.DATASETS`.
            columns: The columns wanted; all when None.
            since: Only rows whose event time is not before; all when None.
            until: Only rows whose event time is before; all when None.

        Returns:
            An Arrow table, empty where nothing was archived yet.

        Raises:
            UnknownFormat: a newer Millstream wrote one of the files.
        """
        kept = DATASETS[dataset]
        names = list(columns) if columns is not None else kept.schema.names
        attempts = 0
        while True:
            files = listed(self._directory / dataset, since, until)
            try:
                check_formats(files)
                return rows_once(kept, files, names, since, until)
            except (FileNotFoundError, duckdb.Error):
                attempts += 1
                if attempts == ATTEMPTS or all(path.exists() for path in files):
                    raise  # else a merge has joined some of them meanwhile: look again


def rows_once(
    kept: Dataset,
    files: Sequence[Path],
    columns: Sequence[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> pa.Table:
    """The rows of files in the order of event time, one an identity. Arguments as `ArchiveReader.read`."""
    names = list(columns) if columns is not None else kept.schema.names
    schema = pa.schema([kept.schema.field(name) for name in names])
    if not files:
        return schema.empty_table()
    identity = ", ".join(f'"{name}"' for name in kept.identity)
    direction = {"first": "ASC", "last": "DESC"}[kept.kept]
    place = ", ".join(f'"{name}" {direction} NULLS LAST' for name in PLACE)
    given = {name: at for name, at in (("since", since), ("until", until)) if at is not None}
    conditions = [f'"{kept.time}" {_COMPARISONS[name]} ${name}' for name in given]
    query = f"""
        SELECT {", ".join(f'"{name}"' for name in names)} FROM (
            SELECT *, row_number() OVER (PARTITION BY {identity} ORDER BY {place}, filename DESC) AS writing
            FROM (
                SELECT * FROM columns_of_today
                UNION ALL BY NAME
                SELECT * FROM read_parquet($files, hive_partitioning = false, filename = true, union_by_name = true)
            ) {"WHERE " + " AND ".join(conditions) if conditions else ""}
        ) WHERE writing = 1 ORDER BY "{kept.time}", {identity}
    """  # noqa: S608 - names come from the schemas, values are parameters
    connection = duckdb.connect()
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("columns_of_today", kept.schema.empty_table())
        table = connection.sql(query, params={"files": [str(path) for path in files], **given}).to_arrow_table()
    finally:
        connection.close()
    return table.cast(schema)
