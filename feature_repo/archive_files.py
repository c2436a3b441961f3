"""The archive's files: whole or not there, of a named format, and listed so that a merge hides none.

A file's format stands in its Parquet metadata; a file that names none is of format 1, which had no places in the log.
"""

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from contracts.errors import UnknownFormat
from feature_repo.synced import sync

FORMAT = 2
_FORMAT_KEY = b"millstream.archive.format"

LISTINGS = 50
"""Listings until two in a row agree: a merge lasts for a few."""


def write_file(table: pa.Table, partition: Path, name: str) -> Path:
    """Writes a file of a partition: 1. under another name, to the disk; 2. renamed, and the folder to the disk.

    Args:
        table: The rows.
        partition: Folder of their date; made where it is missing.
        name: Name of the file without its ending.

    Raises:
        OSError: the disk is full or away; nothing of the file is left.
    """
    if not partition.exists():
        partition.mkdir(parents=True, exist_ok=True)
        sync(partition.parent)
    path = partition / f"{name}.parquet"
    partial = path.with_suffix(".partial")
    marked = table.replace_schema_metadata({**(table.schema.metadata or {}), _FORMAT_KEY: str(FORMAT).encode()})
    try:
        with partial.open("wb") as file:  # 1
            pq.write_table(marked, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)  # 2
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync(partition)
    return path


def check_formats(paths: Iterable[Path]) -> None:
    """Raises UnknownFormat for the first file of a format that this version does not read, FileNotFoundError too."""
    for path in paths:
        metadata = pq.read_metadata(path).metadata or {}
        found = metadata.get(_FORMAT_KEY, b"1").decode(errors="replace")
        if found not in {str(known) for known in range(1, FORMAT + 1)}:
            raise UnknownFormat(
                f"found {path} of archive format {found!r}; expected 1 to {FORMAT}; a newer Millstream wrote it: run "
                "that version or a newer one, or move the file out of the archive"
            )


def listed(dataset: Path, since: datetime | None = None, until: datetime | None = None) -> list[Path]:
    """The files of a dataset's partitions, sorted.

    A merge that is under way may put a file where the listing has been and take its parts from where it has not yet
    been. Two listings in a row that agree have seen no such thing: the merged file is there before a part goes.

    Args:
        dataset: Folder of the dataset.
        since: No partition of a date before.
        until: No partition of a date after.

    Raises:
        OSError: the listings never agreed.
    """
    first, last = (None if at is None else at.astimezone(UTC).date() for at in (since, until))
    before: list[Path] | None = None
    for _ in range(LISTINGS):
        found = sorted(path for part in partitions(dataset, first, last) for path in part.glob("part-*.parquet"))
        if found == before:
            return found
        before = found
    raise OSError(f"found {dataset} changing during {LISTINGS} listings; expected it to rest for a moment; try again")


def partitions(dataset: Path, first: date | None = None, last: date | None = None) -> Sequence[Path]:
    """The folders of a dataset's dates, oldest first."""
    return sorted(
        path
        for path in dataset.glob("date=*")
        if (first is None or path.name >= f"date={first.isoformat()}")
        and (last is None or path.name <= f"date={last.isoformat()}")
    )
