"""Tables after a crash, on a damaged or full disk, and while the log is away: nothing is lost."""

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from contracts.errors import LogUnavailable, StateUnavailable
from streams.memory import MemoryChangelog
from streams.state_db import Record, StateDb
from streams.tables import PartitionedTable
from tests.streams.counts import MARKS, Count, FileChangelog, foreign, opened

CRASH = """
import asyncio, os, signal, sys
from tests.streams.counts import FileChangelog, Count, MARKS
from streams.state_db import StateDb
from streams.tables import PartitionedTable
async def main(directory, log):
    table = PartitionedTable("counts", Count, directory, FileChangelog(log), MARKS)
    await table.open(0)
    await table.put(0, {"ann": Count(1)}, 10)
    StateDb.apply = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    await table.put(0, {"ann": Count(2), "bob": Count(7)}, 20)
from pathlib import Path
asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
"""


def test_a_worker_killed_between_the_acknowledgement_and_the_local_write_loses_nothing(tmp_path: Path) -> None:
    copies, log = tmp_path / "copies", tmp_path / "changelog"
    done = subprocess.run([sys.executable, "-c", CRASH, copies, log], env=os.environ | {"PYTHONPATH": "."}, check=False)
    assert done.returncode == -signal.SIGKILL
    alone = StateDb(copies / "counts-0.sqlite")
    assert (alone.progress.applied, alone.progress.mark, alone.get(b"bob")) == (0, 10, None)
    alone.close()

    async def read() -> tuple[Count | None, Count | None, int]:
        counts = PartitionedTable("counts", Count, copies, FileChangelog(log), MARKS)
        await counts.open(0)
        return counts.get(0, "ann"), counts.get(0, "bob"), counts.progress(0).mark

    assert asyncio.run(read()) == (Count(2), Count(7), 20)


async def test_a_write_ahead_log_cut_at_any_byte_leaves_value_and_offset_in_step(tmp_path: Path) -> None:
    changelog = MemoryChangelog()
    counts = await opened(tmp_path / "whole", changelog)
    for number in range(12):
        await counts.put(0, {f"user-{number % 3}": Count(number)}, number)
    wal = (tmp_path / "whole" / "counts-0.sqlite-wal").read_bytes()
    assert len(wal) > 10_000
    for cut in sorted({*range(0, len(wal), len(wal) // 40), len(wal) - 1, len(wal)}):
        copy = tmp_path / f"cut-{cut}"
        copy.mkdir()
        shutil.copy(tmp_path / "whole" / "counts-0.sqlite", copy)
        (copy / "counts-0.sqlite-wal").write_bytes(wal[:cut])
        alone = StateDb(copy / "counts-0.sqlite")
        expected = {record.key: record.value for offset, record in changelog.records(0)[: alone.progress.applied + 1]}
        assert {key: value for key, _, value in alone.rows()} == expected
        alone.close()
        again = await opened(copy, changelog)
        assert [again.get(0, f"user-{number}") for number in range(3)] == [Count(9), Count(10), Count(11)]
        again.close(0)
        shutil.rmtree(copy)


async def test_a_damaged_file_is_read_anew_from_the_changelog(tmp_path: Path) -> None:
    changelog = MemoryChangelog()
    counts = await opened(tmp_path, changelog)
    await counts.put(0, {f"user-{number}": Count(number) for number in range(500)}, 1)
    counts.close(0)
    path = tmp_path / "counts-0.sqlite"
    for damage in (lambda raw: b"no database" * 100, lambda raw: raw[:9000] + bytes(20_000) + raw[29_000:]):
        path.write_bytes(damage(path.read_bytes()))
        again = await opened(tmp_path, changelog)
        for number in range(500):
            await again.settle(0)
            try:
                assert again.get(0, f"user-{number}") == Count(number)
            except StateUnavailable:
                await again.settle(0)
                assert again.get(0, f"user-{number}") == Count(number)
        again.close(0)


async def test_a_damaged_copy_that_cannot_be_read_anew_at_once_answers_nothing_before_it_is_whole(
    tmp_path: Path,
) -> None:
    changelog = MemoryChangelog()
    counts = await opened(tmp_path, changelog)
    await counts.put(0, {"ann": Count(1)}, 1)
    counts._slots[0].db.damaged = True
    changelog.available = False
    for _ in range(3):
        with pytest.raises(LogUnavailable):
            await counts.settle(0)
    assert not counts.opened(0)
    changelog.available = True
    await counts.settle(0)
    assert counts.get(0, "ann") == Count(1)


async def test_what_a_full_disk_kept_from_the_copy_is_written_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = await opened(tmp_path, MemoryChangelog())
    with monkeypatch.context() as full:

        def refused(*_: object) -> list[bytes]:
            raise StateUnavailable("found the disk full")

        full.setattr(StateDb, "apply", refused)
        with pytest.raises(StateUnavailable):
            await counts.put(0, {"ann": Count(1)}, 1)
        with pytest.raises(StateUnavailable):
            await counts.settle(0)
    await counts.settle(0)
    assert counts.get(0, "ann") == Count(1)
    await counts.put(0, {"ann": Count(2)}, 2)
    assert counts.get(0, "ann") == Count(2)


async def test_the_log_lost_while_foreign_states_are_read_leaves_no_old_state_to_be_folded_on(tmp_path: Path) -> None:
    changelog = MemoryChangelog()
    counts = await opened(tmp_path, changelog)
    await counts.put(0, {"ann": Count(1)}, 1)
    changelog.append_now(0, [foreign("ann", 2, 2)])
    append = changelog.append

    async def then_lost(partition: int, records: Sequence[Record]) -> list[int]:
        offsets = await append(partition, records)
        changelog.available = False
        return offsets

    changelog.append = then_lost  # type: ignore[method-assign]
    with pytest.raises(LogUnavailable):
        await counts.put(0, {"bob": Count(3)}, 3)
    changelog.append, changelog.available = append, True  # type: ignore[method-assign]
    await counts.settle(0)
    assert (counts.get(0, "ann"), counts.get(0, "bob")) == (Count(2), Count(3))


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[StateDb]:
    db = StateDb(tmp_path / "one.sqlite")
    yield db
    db.close()


def test_a_write_that_fails_in_its_middle_is_as_if_it_had_never_begun(broken: StateDb) -> None:
    broken.apply([Record(b"ann", b"1", 1)], 0)
    bad = Record(b"bob", b"2", "no number", seen_ms=None)  # type: ignore[arg-type]
    with pytest.raises((StateUnavailable, TypeError, sqlite3.Error)):
        broken.apply([Record(b"ann", b"2", 2), bad], 2)
    assert [*broken.rows()] == [(b"ann", 1, b"1")]
    assert broken.progress.applied == 0


def test_closing_waits_for_a_write_whose_caller_was_cancelled(broken: StateDb, tmp_path: Path) -> None:
    writing, go_on, written = threading.Event(), threading.Event(), broken._written

    def slow(record: Record) -> bool:
        writing.set()
        assert go_on.wait(10)
        return written(record)

    broken._written = slow  # type: ignore[method-assign]
    applying = threading.Thread(target=broken.apply, args=([Record(b"ann", b"1", 1)], 0))
    closing = threading.Thread(target=broken.close)
    applying.start()
    assert writing.wait(10)
    closing.start()
    closing.join(0.1)
    assert closing.is_alive()
    go_on.set()
    applying.join(10)
    closing.join(10)
    again = StateDb(tmp_path / "one.sqlite")
    assert [*again.rows()] == [(b"ann", 1, b"1")]
    again.close()
