"""Tables over their changelog: which of two states is the newest, who may write, what is read page by page."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from contracts.errors import LogUnavailable, NotOwner, UnknownFormat
from streams.changelog import REBUILT
from streams.memory import MemoryChangelog
from streams.state_db import Record
from streams.tables import Marks, PartitionedTable
from tests.streams.counts import Count, NextCount, foreign, newest, opened


async def test_a_state_goes_to_the_changelog_of_its_own_partition_and_comes_back(tmp_path: Path) -> None:
    changelog = MemoryChangelog()
    counts = await opened(tmp_path, changelog, 2)
    await counts.put(2, {"ann": Count(1, at_ms=5)}, 7, seen_ms=9)
    assert [(offset, record.key, record.mark, record.seen_ms) for offset, record in changelog.records(2)] == [
        (0, b"ann", 7, 9)
    ]
    assert counts.get(2, "ann") == Count(1, at_ms=5)
    assert counts.get(2, "bob") is None
    assert (counts.progress(2).applied, counts.progress(2).mark, counts.progress(2).watermark_ms) == (0, 7, 9)


async def test_nothing_is_written_locally_when_the_changelog_does_not_acknowledge(tmp_path: Path) -> None:
    changelog = MemoryChangelog()
    counts = await opened(tmp_path, changelog)
    changelog.available = False
    with pytest.raises(LogUnavailable):
        await counts.put(0, {"ann": Count(1)}, 1)
    assert counts.get(0, "ann") is None
    assert counts.progress(0).applied == -1


async def test_a_closed_partition_belongs_to_another_worker(tmp_path: Path) -> None:
    counts = await opened(tmp_path, MemoryChangelog())
    counts.close(0)
    assert not counts.opened(0)
    with pytest.raises(NotOwner, match="counts-0 closed"):
        counts.get(0, "ann")


async def test_a_new_worker_reads_what_another_wrote_and_a_copy_only_what_it_lacks(tmp_path: Path) -> None:
    changelog = MemoryChangelog()
    first = await opened(tmp_path / "a", changelog)
    await first.put(0, {"ann": Count(1), "bob": Count(2)}, 1)
    first.close(0)
    second = await opened(tmp_path / "b", changelog)
    await second.put(0, {"ann": Count(3)}, 2)
    counted: list[int] = []
    await first.open(0, counted.append)
    assert counted == [1]
    assert (first.get(0, "ann"), first.get(0, "bob")) == (Count(3), Count(2))


async def test_an_older_state_behind_a_newer_one_is_mended_at_the_next_opening(tmp_path: Path) -> None:
    changelog = MemoryChangelog()
    owner = await opened(tmp_path / "owner", changelog)
    await owner.put(0, {"ann": Count(5)}, 50)
    changelog.append_now(0, [foreign("ann", 3, 30)])
    assert newest(changelog, "ann") == 3
    other = await opened(tmp_path / "other", changelog)
    assert other.get(0, "ann") == Count(5)
    assert newest(changelog, "ann") == 5
    changelog.compact(0)
    assert (await opened(tmp_path / "third", changelog)).get(0, "ann") == Count(5)


async def test_an_older_state_that_came_between_is_mended_at_the_next_write_and_the_owner_goes_on(
    tmp_path: Path,
) -> None:
    changelog = MemoryChangelog()
    owner = await opened(tmp_path, changelog)
    await owner.put(0, {"ann": Count(5), "bob": Count(1)}, 50)
    changelog.append_now(0, [foreign("ann", 3, 30), foreign("bob", 0, 20)])
    await owner.put(0, {"ann": Count(6)}, 60)
    assert (owner.get(0, "ann"), owner.get(0, "bob")) == (Count(6), Count(1))
    assert (newest(changelog, "ann"), newest(changelog, "bob")) == (6, 1)


async def test_an_older_state_of_ours_that_lands_late_is_mended_and_blames_nobody(tmp_path: Path) -> None:
    changelog = MemoryChangelog()
    owner = await opened(tmp_path, changelog)
    await owner.put(0, {"ann": Count(5)}, 50)
    append = changelog.append

    async def late(partition: int, records: Sequence[Record]) -> list[int]:
        changelog.append = append  # type: ignore[method-assign]
        offsets = await append(partition, records)
        changelog.append_now(partition, [foreign("ann", 5, 50)])  # of a write that seemed to have failed
        return offsets

    changelog.append_now(0, [foreign("bob", 1, 55)])
    changelog.append = late  # type: ignore[method-assign]
    await owner.put(0, {"ann": Count(6)}, 60)
    assert owner.get(0, "ann") == Count(6)
    assert newest(changelog, "ann") == 6


async def test_a_worker_that_lost_the_partition_is_not_the_owner_and_does_no_harm(tmp_path: Path) -> None:
    changelog = MemoryChangelog()
    zombie = await opened(tmp_path / "zombie", changelog)
    await zombie.put(0, {"ann": Count(1)}, 10)
    owner = await opened(tmp_path / "owner", changelog)
    await owner.put(0, {"ann": Count(4)}, 40)
    with pytest.raises(NotOwner, match="newer states of 1 keys"):
        await zombie.put(0, {"ann": Count(2)}, 20)
    assert zombie.get(0, "ann") == Count(4)
    assert newest(changelog, "ann") == 4


async def test_a_forgotten_state_stays_away_and_an_older_tombstone_takes_no_newer_state_away(tmp_path: Path) -> None:
    changelog = MemoryChangelog()
    owner = await opened(tmp_path / "owner", changelog)
    await owner.put(0, {"ann": Count(1), "bob": Count(1)}, 10)
    await owner.put(0, {"ann": None}, 11)
    assert owner.get(0, "ann") is None
    assert (await opened(tmp_path / "other", changelog)).get(0, "ann") is None
    changelog.append_now(0, [Record(b"bob", None, 5)])
    third = await opened(tmp_path / "third", changelog)
    assert third.get(0, "bob") == Count(1)
    changelog.compact(0)
    assert (await opened(tmp_path / "fourth", changelog)).get(0, "bob") == Count(1)


async def test_a_copy_ahead_of_the_changelog_is_wiped(tmp_path: Path) -> None:
    changelog = MemoryChangelog()
    counts = await opened(tmp_path, changelog)
    for number in range(5):
        await counts.put(0, {"ann": Count(number), f"user-{number}": Count(number)}, number)
    counts.close(0)
    changelog.lose_everything()
    changelog.append_now(0, [foreign("eve", 9, 1)])
    await counts.open(0)
    assert (counts.get(0, "ann"), counts.get(0, "eve")) == (None, Count(9))
    assert (counts.progress(0).applied, counts.progress(0).mark) == (0, 1)


async def test_a_state_of_another_version_names_the_command_that_makes_it_anew(tmp_path: Path) -> None:
    changelog = MemoryChangelog()
    await (await opened(tmp_path, changelog)).put(0, {"ann": Count(1)}, 1)
    later = PartitionedTable("counts", NextCount, tmp_path / "other", changelog, Marks(lambda _: None, lambda _: 0))
    await later.open(0)
    with pytest.raises(UnknownFormat, match="run `millstream rebuild`"):
        later.get(0, "ann")


async def test_due_windows_come_the_oldest_first_and_page_by_page(tmp_path: Path) -> None:
    counts = await opened(tmp_path, MemoryChangelog())
    states = {f"user-{number:03}": Count(1, opened_ms=number // 2) for number in range(60)}
    await counts.put(0, states | {"closed": Count(1)}, 1)
    due = list(counts.due(0, 20, 7))
    assert due == [f"user-{number:03}" for number in range(2 * 20 + 2)]
    assert counts.open_windows() == 60


async def test_idle_states_and_scans_come_page_by_page(tmp_path: Path) -> None:
    counts = await opened(tmp_path, MemoryChangelog())
    await counts.put(0, {f"user-{number}": Count(number, at_ms=number) for number in range(6)}, 1)
    assert counts.scan(0, "user-3", 10) == [("user-4", Count(4, at_ms=4)), ("user-5", Count(5, at_ms=5))]
    keys, after = counts.idle(0, 3, "", 2)
    assert (keys, after) == (["user-0", "user-1"], "user-1")
    assert counts.idle(0, 3, "user-1", 4) == (["user-2"], "user-5")
    assert counts.idle(0, 3, "user-5", 4) == ([], None)


async def test_the_place_below_which_a_rebuild_is_silent_is_no_state(tmp_path: Path) -> None:
    changelog = MemoryChangelog()
    changelog.append_now(0, [Record(REBUILT, b"", 77), foreign("ann", 1, 1)])
    counts = await opened(tmp_path, changelog)
    assert counts.progress(0).muted_until == 77
    assert counts.scan(0, "", 10) == [("ann", Count(1))]
    counts.close(0)
    assert (await opened(tmp_path, changelog)).progress(0).muted_until == 77


async def test_a_copy_of_the_changelog_before_a_rebuild_is_read_anew(tmp_path: Path) -> None:
    before = MemoryChangelog()
    before.append_now(0, [foreign(f"user-{number}", 1, number) for number in range(5)])
    (await opened(tmp_path, before)).close(0)
    after = MemoryChangelog()
    after.append_now(0, [Record(REBUILT, b"anew", 3), *(foreign(f"new-{number}", 1, number) for number in range(9))])
    counts = await opened(tmp_path, after)
    assert counts.get(0, "user-1") is None
    assert counts.get(0, "new-8") is not None
