"""What every changelog does: appended records come back with their offsets, in order, foreign ones between ours too."""

from streams.changelog import Changelog, Numbered
from streams.state_db import Record


async def read_all(changelog: Changelog, partition: int, start: int = 0) -> list[Numbered]:
    _, end = await changelog.bounds(partition)
    found: list[Numbered] = []
    async for batch, last in changelog.read(partition, start, end):
        assert batch[-1][0] == last
        found += batch
    return found


def record(key: str, mark: int, value: bytes | None = b"state") -> Record:
    return Record(key.encode(), value, mark, opened_ms=mark * 1000, seen_ms=mark * 1000 + 1)


class ChangelogSuite:
    """Subclasses give `ours` and `theirs`: two changelogs of the same topic, of one test alone, with 4 partitions."""

    async def test_an_empty_partition_begins_and_ends_at_zero(self, ours: Changelog) -> None:
        assert await ours.bounds(2) == (0, 0)
        assert await read_all(ours, 2) == []

    async def test_what_is_appended_comes_back_equal_at_the_offsets_that_were_returned(self, ours: Changelog) -> None:
        records = [
            record("ann", 3), Record(b"bob", None, 4), Record(b"eve", b"", 1 << 40, None, 0),
            Record(b"kai", bytes(range(256)), 5, -1, 7),
        ]  # fmt: skip
        offsets = await ours.append(1, records)
        assert offsets == [0, 1, 2, 3]
        assert await ours.bounds(1) == (0, 4)
        assert await read_all(ours, 1) == list(zip(offsets, records, strict=True))

    async def test_the_bounds_count_every_record_of_a_large_append(self, ours: Changelog) -> None:
        records = [record(f"user-{number}", number) for number in range(3000)]
        assert await ours.append(0, records) == list(range(3000))
        assert await ours.bounds(0) == (0, 3000)
        assert [one.mark for _, one in await read_all(ours, 0, 2500)] == list(range(2500, 3000))

    async def test_partitions_are_apart(self, ours: Changelog) -> None:
        await ours.append(0, [record("ann", 1)])
        await ours.append(3, [record("bob", 2), record("eve", 3)])
        assert await ours.bounds(0) == (0, 1)
        assert [one.key for _, one in await read_all(ours, 3)] == [b"bob", b"eve"]

    async def test_records_of_another_worker_stand_between_ours(self, ours: Changelog, theirs: Changelog) -> None:
        first = await ours.append(0, [record("ann", 1)])
        foreign = await theirs.append(0, [record("ann", 2), record("bob", 2)])
        last = await ours.append(0, [record("eve", 3)])
        assert (first, foreign, last) == ([0], [1, 2], [3])
        assert [(offset, one.key) for offset, one in await read_all(ours, 0, 1)] == [
            (1, b"ann"), (2, b"bob"), (3, b"eve"),
        ]  # fmt: skip

    async def test_nothing_is_read_of_an_empty_range(self, ours: Changelog) -> None:
        await ours.append(0, [record("ann", 1)])
        assert [one async for one in ours.read(0, 1, 1)] == []
