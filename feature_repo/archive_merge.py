"""Merging the archive's small files: a flush every few seconds makes thousands a day, a millisecond each to read.

The protocol of a merge, within one partition: 1. read the parts, each row once; 2. write the merged file whole (as
`archive_files.write_file`); 3. remove the parts. A crash between 2 and 3 leaves rows in two files; the reader keeps one
row an identity, and the next merge joins the files. A merge never removes a file that it has not read.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from contracts.clock import Clock, utc_now
from contracts.ids import time_ordered_id
from feature_repo.archive import rows_once
from feature_repo.archive_files import check_formats, partitions, write_file
from feature_repo.archive_schemas import DATASETS, Dataset

MEGABYTE = 1_000_000

FULL_BYTES = 16 * MEGABYTE
"""A file of this size is merged no more."""

MOST_BYTES = 32 * MEGABYTE
MOST_FILES = 256
"""What one merge reads at most: some hundred megabytes in memory, and about a second."""

TIERS_BYTES = (MEGABYTE // 4, 4 * MEGABYTE, FULL_BYTES)
TIER_FILES = 64
"""So many files of one tier are merged, so that a row is written again only a few times in its life."""

QUIET_S = 3600.0
"""A partition that nothing was written to for this long has all its small files merged."""

PARTIAL_S = 86_400.0
"""A half-written file of this age is nobody's any more."""


@dataclass(frozen=True)
class Found:
    """A file as a merge plans with it."""

    path: Path
    size: int
    written_s: float


@dataclass(frozen=True)
class Merged:
    """What was done: so many files have become one."""

    dataset: str
    files: int


class ArchiveMerge:
    """Merges one partition at a time; several processes may try, one a dataset works.

    Args:
        directory: Root of the archive.
        clock: Names the files.
        wall_s: Seconds since the epoch, to tell how long a partition has been quiet.
        done: Called with the number of each step that is done.
    """

    def __init__(
        self,
        directory: Path,
        clock: Clock = utc_now,
        wall_s: Callable[[], float] = time.time,
        done: Callable[[int], None] = lambda step: None,
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._wall_s = wall_s
        self._done = done

    def one(self, everything: bool = False) -> Merged | None:
        """Merges the files of one partition where that is due; None where nothing is.

        Args:
            everything: Also where few files wait or the partition is still being written.

        Raises:
            UnknownFormat: a file is of a newer format.
            OSError: the disk is full or away; all parts are still there.
        """
        for dataset in DATASETS.values():
            root = self._directory / dataset.name
            for partition in partitions(root):
                if not due(self._found(partition), self._wall_s(), everything):
                    continue
                with _alone(root) as entered:
                    parts = due(self._found(partition), self._wall_s(), everything) if entered else []
                    if parts:
                        self._merge(dataset, partition, parts)
                        return Merged(dataset.name, len(parts))
        return None

    def _merge(self, dataset: Dataset, partition: Path, parts: Sequence[Path]) -> None:
        check_formats(parts)
        rows = rows_once(dataset, parts)
        self._done(1)
        write_file(rows, partition, time_ordered_id("part", self._clock()))
        self._done(2)
        for path in parts:
            path.unlink(missing_ok=True)
            self._done(3)

    def _found(self, partition: Path) -> list[Found]:
        found = []
        for entry in os.scandir(partition):
            try:
                status = entry.stat()
            except FileNotFoundError:
                continue
            if entry.name.endswith(".partial") and self._wall_s() - status.st_mtime > PARTIAL_S:
                Path(entry.path).unlink(missing_ok=True)
            elif entry.name.startswith("part-") and entry.name.endswith(".parquet"):
                found.append(Found(Path(entry.path), status.st_size, status.st_mtime))
        return sorted(found, key=lambda one: one.path.name)


def due(found: Sequence[Found], now_s: float, everything: bool) -> list[Path]:
    """The files of a partition that are to be merged now, oldest first; none, or at least two.

    Args:
        found: All its files.
        now_s: Seconds since the epoch.
        everything: Whether two small files are enough.
    """
    small = [one for one in found if one.size < FULL_BYTES]
    if small and (everything or now_s - max(one.written_s for one in found) > QUIET_S):
        return _bounded(small)
    floor = 0
    for ceiling in TIERS_BYTES:
        tier = [one for one in small if floor <= one.size < ceiling]
        if len(tier) >= TIER_FILES:
            return _bounded(tier)
        floor = ceiling
    return []


def _bounded(files: Sequence[Found]) -> list[Path]:
    chosen: list[Path] = []
    size = 0
    for one in files[:MOST_FILES]:
        size += one.size
        if size > MOST_BYTES:
            break
        chosen.append(one.path)
    return chosen if len(chosen) > 1 else []


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether this process may merge in the folder now. It saves work; a merge is safe without it."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(opened)
