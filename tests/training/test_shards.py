import json
import tracemalloc
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from contracts.errors import BadFile
from contracts.features import HISTORY_LENGTH
from contracts.ids import UserId
from training.data import shards
from training.data.batch_source import BatchSource, InMemory
from training.data.collate import Epoch, SequenceBatch
from training.data.sequences import UserSequence
from training.data.shard_files import MANIFEST, Shard, ShardSizes, open_shards, write_shards
from training.data.shards import ParquetShards

SIZES = ShardSizes(users_a_group=8, groups_a_shard=3)
SIZE = 4
ITEMS = 1000


def users(count: int, longest: int = HISTORY_LENGTH + 1, seed: int = 3) -> list[UserSequence]:
    """Users with sequences of 2 to `longest` interactions with items from 1 on."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        length = int(rng.integers(2, longest + 1))
        items = rng.integers(1, ITEMS, length)
        fresh = np.zeros(length, dtype=np.bool_)
        fresh[np.unique(items, return_index=True)[1]] = True
        times_ms = np.sort(rng.integers(0, 10**12, length))
        made.append(UserSequence(UserId(f"u{number:04}"), items, rng.integers(0, 5, length), times_ms, fresh))
    return made


def written(directory: Path, of: list[UserSequence], sizes: ShardSizes = SIZES) -> ParquetShards:
    write_shards(directory, of, sizes, seed=1)
    return ParquetShards(directory)


def drawn(source: BatchSource, epoch: Epoch, horizon: int = 1) -> list[SequenceBatch]:
    return list(source.batches(SIZE, horizon, epoch))


def windows_of(batches: list[SequenceBatch]) -> Counter[tuple[tuple[int, ...], ...]]:
    """The windows of batches without their padding, which is 0 in a column of items and of targets alike."""
    found: Counter[tuple[tuple[int, ...], ...]] = Counter()
    for batch in batches:
        for row in range(len(batch.items)):
            length = int((batch.items[row] > 0).sum())
            columns = (batch.items[row, :length], batch.kinds[row, :length], batch.gaps[row, :length])
            targets = batch.targets[row, : length + 1]
            found[tuple(tuple(column.tolist()) for column in (*columns, targets))] += 1
    return found


def same(one: list[SequenceBatch], other: list[SequenceBatch]) -> bool:
    return len(one) == len(other) and all(
        torch.equal(getattr(a, name), getattr(b, name))
        for a, b in zip(one, other, strict=True)
        for name in SequenceBatch.__dataclass_fields__
    )


def test_an_epoch_has_the_windows_that_memory_has(tmp_path: Path) -> None:
    every = users(100)
    source = written(tmp_path, every)
    for number in (0, 1):
        epoch = Epoch(7, number)
        assert windows_of(drawn(source, epoch)) == windows_of(drawn(InMemory(every), epoch))


def test_long_users_are_cut_anew_in_each_epoch_and_nothing_of_them_is_lost(tmp_path: Path) -> None:
    every = users(20, longest=5 * HISTORY_LENGTH)
    source = written(tmp_path, every)
    epochs = [windows_of(drawn(source, Epoch(7, number))) for number in (0, 1)]
    assert epochs[0] != epochs[1]
    wished = Counter(item for user in every for item in user.items[user.fresh].tolist())
    for found in epochs:
        told = Counter(
            target for window, times in found.items() for target in set(window[3]) if target for _ in range(times)
        )
        assert all(told[item] >= times for item, times in wished.items())


def test_workers_share_no_window_and_leave_none(tmp_path: Path) -> None:
    every = users(100)
    source = written(tmp_path, every)
    for world in (2, 3):
        parts = [windows_of(drawn(source, Epoch(7, 0, rank, world))) for rank in range(world)]
        assert sum(parts, Counter()) == windows_of(drawn(source, Epoch(7, 0)))
        assert max(part.total() for part in parts) - min(part.total() for part in parts) <= 2 * SIZES.users_a_group


def test_the_same_call_gives_the_same_batches_and_another_epoch_others(tmp_path: Path) -> None:
    source, again = written(tmp_path, users(60)), ParquetShards(tmp_path)
    epoch = Epoch(7, 0, 1, 2)
    first = drawn(source, epoch, horizon=4)
    assert same(first, drawn(again, epoch, horizon=4))
    assert not same(first, drawn(source, Epoch(7, 1, 1, 2), horizon=4))
    assert not same(first, drawn(source, Epoch(8, 0, 1, 2), horizon=4))


def test_a_training_that_goes_on_gets_the_batches_that_it_lacks(tmp_path: Path) -> None:
    source, epoch = written(tmp_path, users(60)), Epoch(7, 2)
    whole = drawn(source, epoch, horizon=4)
    began = list(islice(source.batches(SIZE, 4, epoch), 3))
    rest = list(islice(ParquetShards(tmp_path).batches(SIZE, 4, epoch), 3, None))
    assert same(whole, [*began, *rest])


def test_batches_are_of_like_length_and_as_large_as_was_asked(tmp_path: Path) -> None:
    batches = drawn(written(tmp_path, users(400)), Epoch(7, 0))
    assert all(batch.targets.numel() <= SIZE * (HISTORY_LENGTH + 1) for batch in batches)
    padded = sum(batch.items.numel() for batch in batches)
    assert sum(int((batch.items > 0).sum()) for batch in batches) / padded > 0.8


def test_steps_are_foretold_by_the_manifest_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = written(tmp_path, users(300, longest=3 * HISTORY_LENGTH))
    made = [len(drawn(source, Epoch(7, 0, rank, 2))) for rank in (0, 1)]
    monkeypatch.setattr(shards, "read_group", None)
    foretold = [source.steps(SIZE, Epoch(7, 0, rank, 2)) for rank in (0, 1)]
    assert foretold == pytest.approx(made, rel=0.2)


def test_memory_does_not_grow_with_the_number_of_shards(tmp_path: Path) -> None:
    def peak_bytes(count: int) -> int:
        sizes = ShardSizes(users_a_group=64, groups_a_shard=4)
        write_shards(tmp_path / str(count), users(count), sizes, seed=1)
        source = ParquetShards(tmp_path / str(count), pooled=2)
        tracemalloc.start()
        for _ in source.batches(SIZE, 1, Epoch(7, 0)):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert peak_bytes(4096) < 1.5 * peak_bytes(1024)


def test_no_more_is_read_than_the_next_batches_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    real = shards.read_group

    def counted(path: Path, shard: Shard, place: int) -> list[UserSequence]:
        read.append(place)
        return real(path, shard, place)

    monkeypatch.setattr(shards, "read_group", counted)
    write_shards(tmp_path, users(800), SIZES, seed=1)
    drawing = ParquetShards(tmp_path, pooled=1).batches(SIZE, 1, Epoch(7, 0))
    next(drawing)
    drawing.close()
    assert len(read) <= 2 + 1 + shards.READ_AHEAD + 1


def test_a_set_without_users_has_no_batch(tmp_path: Path) -> None:
    source = written(tmp_path, [])
    assert drawn(source, Epoch(7, 0)) == []
    assert source.steps(SIZE, Epoch(7, 0)) == 0


def test_a_set_is_replaced_as_a_whole(tmp_path: Path) -> None:
    written(tmp_path, users(200))
    source = written(tmp_path, users(20))
    assert source.manifest.users == 20
    assert {path.name for path in tmp_path.iterdir()} == {MANIFEST, "part-00000.parquet"}


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(bytes(content))


def no_parquet(path: Path) -> None:
    path.write_bytes(b"x" * path.stat().st_size)


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (Path.unlink, "found no file; expected"),
        (truncated, r"found \d+ bytes; expected"),
        (no_parquet, "found no readable footer"),
    ],
)
def test_a_damaged_shard_is_named_when_the_set_is_opened(
    tmp_path: Path, damage: Callable[[Path], None], found: str
) -> None:
    written(tmp_path, users(60))
    damage(tmp_path / "part-00001.parquet")
    with pytest.raises(BadFile, match=f"part-00001.parquet: {found}.*write the shards again"):
        ParquetShards(tmp_path)


def test_a_shard_with_other_columns_is_named_when_the_set_is_opened(tmp_path: Path) -> None:
    manifest = write_shards(tmp_path, users(60), SIZES, seed=1)
    path = tmp_path / "part-00001.parquet"
    pq.write_table(pa.table({"user": ["u1"], "items": [[1, 2]]}), path)
    changed = manifest.shards[1].model_copy(update={"bytes": path.stat().st_size})
    described = manifest.model_copy(update={"shards": (manifest.shards[0], changed, *manifest.shards[2:])})
    (tmp_path / MANIFEST).write_text(described.model_dump_json())
    with pytest.raises(
        BadFile, match=r"part-00001.parquet: found columns user string.*expected user string, items list"
    ):
        ParquetShards(tmp_path)


def test_flipped_bytes_are_found_by_the_checksum_of_the_shard(tmp_path: Path) -> None:
    source = written(tmp_path, users(60))
    flipped(tmp_path / "part-00001.parquet")
    with pytest.raises(BadFile, match=r"part-00001.parquet: found SHA-256 \w+; expected \w+"):
        drawn(source, Epoch(7, 0))


def test_bytes_flipped_after_the_first_epoch_are_found_by_the_checksums_of_the_pages(tmp_path: Path) -> None:
    source = written(tmp_path, users(60))
    drawn(source, Epoch(7, 0))
    flipped(tmp_path / "part-00001.parquet")
    with pytest.raises(BadFile, match=r"part-00001.parquet: found row group \d unreadable"):
        drawn(source, Epoch(7, 1))


def test_a_set_whose_writing_did_not_end_is_none(tmp_path: Path) -> None:
    written(tmp_path, users(60))
    (tmp_path / MANIFEST).unlink()
    with pytest.raises(BadFile, match=r"found no manifest.json in .*write the shards again"):
        open_shards(tmp_path)


def test_a_manifest_of_another_version_is_refused(tmp_path: Path) -> None:
    written(tmp_path, users(60))
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(json.dumps({**manifest, "schema_version": 2}))
    with pytest.raises(BadFile, match="expected a manifest of schema version 1"):
        open_shards(tmp_path)
