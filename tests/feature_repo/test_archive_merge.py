"""Merging: fewer files with the same rows, whatever kills it, and readers that never miss a row meanwhile."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

import feature_repo.archive
from contracts.events import Click
from contracts.ids import EventId, ItemId, UserId
from contracts.ports import LoggedMessage
from contracts.topics import EVENTS
from feature_repo.archive import ArchiveReader, ArchiveWriter
from feature_repo.archive_files import check_formats
from feature_repo.archive_merge import (
    FULL_BYTES,
    MOST_BYTES,
    MOST_FILES,
    QUIET_S,
    TIER_FILES,
    ArchiveMerge,
    Found,
    Merged,
    due,
)  # fmt: skip
from feature_repo.archive_rows import event_row

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KILOBYTE = 1000
DIES_AT = """
import os, pathlib, signal, sys
from feature_repo.archive_merge import ArchiveMerge

step, left = int(sys.argv[2]), int(sys.argv[3])

def done(number):
    global left
    if number == step:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

ArchiveMerge(pathlib.Path(sys.argv[1]), done=done).one(everything=True)
"""


def flushed(directory: Path, files: int, rows: int = 3, start: int = 0) -> None:
    writer = ArchiveWriter(directory, "events")
    for file in range(start, start + files):
        for row in range(rows):
            number = file * rows + row
            event = Click(
                event_id=EventId(f"e{number}"), at=NOON + timedelta(seconds=number), user_id=UserId("u"),
                item_id=ItemId("i"),
            )  # fmt: skip
            writer.append([event_row(event, LoggedMessage(EVENTS.name, 0, number, b"u", None))])
        writer.flush()


def read(directory: Path) -> pa.Table:
    return ArchiveReader(directory).read("events")


def files(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*.parquet"))


def test_merged_files_have_the_rows_of_their_parts_each_once(tmp_path: Path) -> None:
    flushed(tmp_path, 5)
    flushed(tmp_path, 1)  # written again
    before = read(tmp_path)
    assert ArchiveMerge(tmp_path).one(everything=True) == Merged("events", 6)
    assert len(files(tmp_path)) == 1
    assert read(tmp_path) == before
    assert before.num_rows == 5 * 3
    assert ArchiveMerge(tmp_path).one(everything=True) is None


@pytest.mark.parametrize(("step", "time"), [(1, 1), (2, 1), (3, 1), (3, 2), (3, 4)])
def test_a_merge_killed_at_any_step_loses_no_row_and_doubles_none_and_the_next_one_ends_it(
    tmp_path: Path, step: int, time: int
) -> None:
    flushed(tmp_path, 4)
    before = read(tmp_path)
    killed = subprocess.run([sys.executable, "-c", DIES_AT, tmp_path, str(step), str(time)], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert read(tmp_path) == before
    while ArchiveMerge(tmp_path).one(everything=True):
        pass
    assert read(tmp_path) == before
    assert len(files(tmp_path)) == 1


def test_what_a_writer_or_a_merge_left_half_written_is_removed_after_a_day(tmp_path: Path) -> None:
    flushed(tmp_path, 1)
    (partition,) = (tmp_path / "events").iterdir()
    young, old = partition / "part-young.partial", partition / "part-old.partial"
    for path in (young, old):
        path.write_bytes(b"half a file")
    os.utime(old, (time.time() - 90_000, time.time() - 90_000))
    ArchiveMerge(tmp_path).one()
    assert (young.exists(), old.exists()) == (True, False)


def test_a_reader_whose_files_are_merged_after_it_has_listed_them_looks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed(tmp_path, 4)
    before = read(tmp_path)
    merges = []

    def merged_meanwhile(paths: Sequence[Path]) -> None:
        check_formats(paths)
        if not merges:
            merges.append(ArchiveMerge(tmp_path).one(everything=True))

    monkeypatch.setattr(feature_repo.archive, "check_formats", merged_meanwhile)
    assert read(tmp_path) == before
    assert merges == [Merged("events", 4)]


def test_a_file_that_is_no_parquet_is_an_error_and_not_waited_for(tmp_path: Path) -> None:
    flushed(tmp_path, 1)
    (path,) = files(tmp_path)
    path.write_bytes(b"no parquet at all")
    with pytest.raises(pa.ArrowInvalid):
        read(tmp_path)


def test_readers_beside_a_writer_and_two_mergers_miss_no_row(tmp_path: Path) -> None:
    flushed(tmp_path, 20)
    stop = threading.Event()

    def merging() -> None:
        while not stop.is_set():
            ArchiveMerge(tmp_path).one(everything=True)

    with ThreadPoolExecutor(2) as pool:
        mergers = [pool.submit(merging) for _ in range(2)]
        try:
            for file in range(20, 50):
                flushed(tmp_path, 1, start=file)
                assert read(tmp_path)["event_id"].to_pylist() == [f"e{number}" for number in range((file + 1) * 3)]
        finally:
            stop.set()
        for merger in mergers:
            merger.result()


def found(*sizes: int, written_s: float = 0.0) -> list[Found]:
    return [Found(Path(f"part-{place:06}.parquet"), size, written_s) for place, size in enumerate(sizes)]


def test_a_few_small_files_wait_until_their_partition_is_quiet() -> None:
    few = found(*[10 * KILOBYTE] * 5)
    assert due(few, QUIET_S, everything=False) == []
    assert due(few, QUIET_S + 1, everything=False) == [one.path for one in few]
    assert due(few, 0, everything=True) == [one.path for one in few]
    assert due(few[:1], QUIET_S + 1, everything=True) == []


def test_many_files_of_one_size_are_merged_at_once_and_larger_ones_are_left() -> None:
    many = found(*[1000 * KILOBYTE] * 3, *[10 * KILOBYTE] * TIER_FILES)
    assert due(many, 0, everything=False) == [one.path for one in many[3:]]
    assert due(many[:-1], 0, everything=False) == []


def test_a_merge_is_bounded_in_files_and_in_bytes_and_full_files_are_left() -> None:
    assert len(due(found(*[KILOBYTE] * 5000), 0, everything=True)) == MOST_FILES
    large = found(*[FULL_BYTES - 1] * 9)
    assert len(due(large, 0, everything=True)) == MOST_BYTES // FULL_BYTES
    assert due(found(FULL_BYTES, KILOBYTE), QUIET_S + 1, everything=True) == []


def test_a_day_of_flushes_every_five_seconds_leaves_few_files_and_each_row_is_written_few_times() -> None:
    """By arithmetic: a flush of 6 kB every five seconds, a look for merges after every sixth."""
    kept: dict[Path, Found] = {}
    written = rewritten = 0
    for flush in range(17_280):
        one = Found(Path(f"part-{flush:06}.parquet"), 6 * KILOBYTE, flush * 5.0)
        kept[one.path] = one
        written += one.size
        if flush % 6 == 0 and (
            parts := due(sorted(kept.values(), key=lambda each: each.path.name), flush * 5.0, False)
        ):
            size = sum(kept.pop(path).size for path in parts)
            rewritten += size
            kept[parts[-1]] = Found(parts[-1], size, flush * 5.0)
    assert len(kept) <= 2 * TIER_FILES
    assert rewritten <= 4 * written
