"""User sequences on disk as Parquet shards, and the manifest that says what a whole set of them is.

    shards/
      part-00000.parquet   rows: user, items list<int32>, kinds list<int8>, times_ms list<int64>, fresh list<bool>
      part-00001.parquet   row groups of some hundreds of users, each a fair sample: users are shuffled first
      manifest.json        written last; what it does not name is no part of the set

Row groups are the unit of reading: whoever reads one holds nothing else of its shard. U users, L interactions of one.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contracts.errors import BadFile
from contracts.ids import UserId
from training.data.sequences import UserSequence

MANIFEST = "manifest.json"
USERS_A_GROUP = 512
GROUPS_A_SHARD = 16
LEAST_GROUPS_A_WORKER = 16
"""With so many row groups for each worker, dealing whole ones leaves the workers with nearly as much each."""

COLUMNS = pa.schema(
    [
        ("user", pa.string()),
        ("items", pa.list_(pa.int32())),
        ("kinds", pa.list_(pa.int8())),
        ("times_ms", pa.list_(pa.int64())),
        ("fresh", pa.list_(pa.bool_())),
    ]
)
_LISTS = tuple(name for name in COLUMNS.names if name != "user")
_CHUNK_BYTES = 1 << 20
_UNREADABLE = (OSError, EOFError, ValueError, pa.ArrowException)


class _Described(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RowGroup(_Described):
    """What one row group holds. `lengths` are pairs of an interaction count and how many users have it."""

    users: int = Field(ge=1)
    interactions: int = Field(ge=0)
    lengths: tuple[tuple[int, int], ...]


class Shard(_Described):
    """One file of the set: its name, size, SHA-256, and what its row groups hold, in their order."""

    file: str
    bytes: int = Field(ge=1)
    sha256: str
    row_groups: tuple[RowGroup, ...]

    @property
    def users(self) -> int:
        """How many users the shard holds."""
        return sum(group.users for group in self.row_groups)

    @property
    def interactions(self) -> int:
        """How many interactions the shard holds."""
        return sum(group.interactions for group in self.row_groups)


class Manifest(_Described):
    """A whole set of shards. An empty one has no shards."""

    schema_version: Literal[1] = 1
    users: int
    interactions: int
    shards: tuple[Shard, ...]


@dataclass(frozen=True)
class ShardSizes:
    """How large the parts of a set are.

    Attributes:
        users_a_group: Users a row group: what a reader holds at once is a few of these.
        groups_a_shard: Row groups a file.
    """

    users_a_group: int = USERS_A_GROUP
    groups_a_shard: int = GROUPS_A_SHARD

    @classmethod
    def for_workers(cls, users: int, workers: int) -> "ShardSizes":
        """Row groups small enough that `workers` can share them out evenly."""
        return cls(max(1, min(USERS_A_GROUP, users // (LEAST_GROUPS_A_WORKER * workers))))


def write_shards(directory: Path, users: Sequence[UserSequence], sizes: ShardSizes, seed: int) -> Manifest:
    """Writes a set of shards: the files first, the manifest last and by a rename, so that a set is whole or is none.

    Args:
        directory: Made where it is not there; a set that lies there is replaced.
        users: The sequences, in any order.
        sizes: Sizes of the parts.
        seed: Seed of the order that users are written in: what a training sees does not hang on who is called what.

    Returns:
        The manifest.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / MANIFEST).unlink(missing_ok=True)
    for old in directory.glob("part-*.parquet"):
        old.unlink()
    order = np.random.default_rng(seed).permutation(len(users))
    a_shard = sizes.users_a_group * sizes.groups_a_shard
    shards = [
        _write_shard(
            directory / f"part-{number:05d}.parquet", [users[at] for at in order[start : start + a_shard]], sizes
        )
        for number, start in enumerate(range(0, len(order), a_shard))
    ]
    manifest = Manifest(
        users=sum(shard.users for shard in shards),
        interactions=sum(shard.interactions for shard in shards),
        shards=tuple(shards),
    )
    unfinished = directory / f"{MANIFEST}.partial"
    with unfinished.open("w") as file:
        file.write(manifest.model_dump_json())
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(directory / MANIFEST)
    return manifest


def open_shards(directory: Path) -> Manifest:
    """Reads the manifest and looks at every file: there, as large as written, and of the schema. Reads no rows.

    Raises:
        BadFile: no manifest, one of another version, or a shard that is not what the manifest says.
    """
    path = directory / MANIFEST
    if not path.is_file():
        raise BadFile(
            f"found no {MANIFEST} in {directory}; expected one beside the shards, it is written last: "
            "the writing did not end, so write the shards again"
        )
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except (ValidationError, OSError) as error:
        raise BadFile(
            f"found {path} unreadable ({error}); expected a manifest of schema version 1; "
            "write the shards again with this version of the code"
        ) from error
    for shard in manifest.shards:
        _check(directory / shard.file, shard)
    return manifest


def verify(path: Path, shard: Shard) -> None:
    """Reads a shard's bytes in small parts and compares their SHA-256. Raises BadFile."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise _bad(path, f"unreadable ({error})", "its bytes") from error
    if digest.hexdigest() != shard.sha256:
        raise _bad(path, f"SHA-256 {digest.hexdigest()}", f"{shard.sha256} as it was written")


def read_group(path: Path, shard: Shard, place: int) -> list[UserSequence]:
    """The sequences of one row group, by views of its columns.

    Raises:
        BadFile: a page's checksum is wrong, it cannot be decoded, or it holds something else than the manifest says.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read_row_group(place, use_threads=False)
        sequences = _sequences(table)
    except _UNREADABLE as error:
        raise _bad(path, f"row group {place} unreadable ({error})", "whole pages with the right checksums") from error
    found = (len(sequences), sum(map(len, sequences)))
    expected = (shard.row_groups[place].users, shard.row_groups[place].interactions)
    if found != expected:
        raise _bad(path, f"{found} users and interactions in row group {place}", str(expected))
    return sequences


def _write_shard(path: Path, users: Sequence[UserSequence], sizes: ShardSizes) -> Shard:
    groups = [users[start : start + sizes.users_a_group] for start in range(0, len(users), sizes.users_a_group)]
    with path.open("wb") as file:
        with pq.ParquetWriter(file, COLUMNS, compression="zstd", write_page_checksum=True) as writer:
            for group in groups:
                writer.write_table(_table(group), row_group_size=len(group))
        file.flush()
        os.fsync(file.fileno())
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    described = tuple(_contents(group) for group in groups)
    return Shard(file=path.name, bytes=path.stat().st_size, sha256=sha256, row_groups=described)


def _contents(group: Sequence[UserSequence]) -> RowGroup:
    lengths = Counter(len(user) for user in group)
    return RowGroup(users=len(group), interactions=sum(map(len, group)), lengths=tuple(sorted(lengths.items())))


def _table(group: Sequence[UserSequence]) -> pa.Table:
    offsets = pa.array(np.cumsum([0, *map(len, group)]), pa.int32())
    columns: dict[str, Any] = {"user": pa.array([str(user.user_id) for user in group], pa.string())}
    for name in _LISTS:
        values = pa.array(np.concatenate([getattr(user, name) for user in group]), COLUMNS.field(name).type.value_type)
        columns[name] = pa.ListArray.from_arrays(offsets, values)
    return pa.table(columns, schema=COLUMNS)


def _sequences(table: pa.Table) -> list[UserSequence]:
    lists = {name: table[name].combine_chunks() for name in _LISTS}
    bounds = lists["items"].offsets.to_numpy()
    for name, column in lists.items():
        if not np.array_equal(column.offsets.to_numpy(), bounds):
            raise ValueError(f"column {name} has other lengths than items")
    values = {name: column.values.to_numpy(zero_copy_only=False) for name, column in lists.items()}
    items, kinds, times_ms = (values[name].astype(np.int64, copy=False) for name in ("items", "kinds", "times_ms"))
    return [
        UserSequence(UserId(user), items[start:end], kinds[start:end], times_ms[start:end], values["fresh"][start:end])
        for user, start, end in zip(table["user"].to_pylist(), bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
    ]


def _check(path: Path, shard: Shard) -> None:
    if not path.is_file():
        raise _bad(path, "no file", f"{shard.bytes} bytes")
    if path.stat().st_size != shard.bytes:
        raise _bad(path, f"{path.stat().st_size} bytes", f"{shard.bytes}")
    try:
        footer = pq.read_metadata(path)
        schema = footer.schema.to_arrow_schema()
    except _UNREADABLE as error:
        raise _bad(path, f"no readable footer ({error})", "a Parquet file") from error
    if not schema.equals(COLUMNS):
        raise _bad(path, f"columns {_named(schema)}", _named(COLUMNS))
    rows = [footer.row_group(place).num_rows for place in range(footer.num_row_groups)]
    if rows != [group.users for group in shard.row_groups]:
        raise _bad(path, f"row groups of {rows} users", str([group.users for group in shard.row_groups]))


def _named(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)


def _bad(path: Path, found: str, expected: str) -> BadFile:
    return BadFile(
        f"shard {path}: found {found}; expected {expected}; the shard is not what was written: "
        f"remove {path.parent} and write the shards again (a new training does)"
    )
