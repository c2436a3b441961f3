"""The archive's formats: files of every format so far are read, a newer one stops the reading and says what to do."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from contracts.errors import UnknownFormat
from feature_repo.archive import ArchiveReader
from feature_repo.archive_files import FORMAT, write_file
from feature_repo.archive_merge import ArchiveMerge
from feature_repo.archive_schemas import DATASETS, PLACE
from tests.builders.servers import REPOSITORY

GOLDEN = REPOSITORY / "tests" / "golden" / "archive"
AT = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)
FORMATS = range(1, FORMAT + 1)


def archive_of(directory: Path, *files: str) -> Path:
    """An archive with these golden files."""
    for name in files:
        partition = directory / name.split("_format_")[0] / "date=2026-03-01"
        partition.mkdir(parents=True, exist_ok=True)
        shutil.copy(GOLDEN / name, partition / f"part-{name}")
    return directory


def golden(dataset: str, number: int) -> str:
    return f"{dataset}_format_{number}.parquet"


def without_place(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in (*PLACE, "features_event_count")}


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("number", FORMATS)
def test_a_file_of_every_format_is_read(tmp_path: Path, dataset: str, number: int) -> None:
    table = ArchiveReader(archive_of(tmp_path, golden(dataset, number))).read(dataset)
    assert table.schema == DATASETS[dataset].schema
    places = [(row["log_partition"], row["log_offset"]) for row in table.to_pylist()]
    assert all((place == (None, None)) == (number == 1) for place in places)
    assert table["at"].to_pylist() == [AT] * len(places)


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_formats_tell_the_same(tmp_path: Path, dataset: str) -> None:
    first, second = (
        ArchiveReader(archive_of(tmp_path / str(number), golden(dataset, number))).read(dataset).to_pylist()
        for number in (1, 2)
    )
    assert list(map(without_place, first)) == list(map(without_place, second))


@pytest.mark.parametrize("dataset", DATASETS)
def test_todays_columns_are_those_of_the_newest_golden_file(dataset: str) -> None:
    kept = pq.read_schema(GOLDEN / golden(dataset, FORMAT)).remove_metadata()
    assert kept == DATASETS[dataset].schema, "other columns are another format: raise FORMAT and keep a new golden file"


def test_rows_of_an_older_format_are_merged_into_the_newest(tmp_path: Path) -> None:
    archive_of(tmp_path, golden("events", 1), golden("events", 2))
    before = ArchiveReader(tmp_path).read("events")
    assert ArchiveMerge(tmp_path).one(everything=True)
    (merged,) = tmp_path.rglob("*.parquet")
    assert pq.read_metadata(merged).metadata[b"millstream.archive.format"] == str(FORMAT).encode()
    assert ArchiveReader(tmp_path).read("events") == before
    assert before["log_offset"].to_pylist() == [7, 8]  # of equal rows the one with a place is kept


def test_a_file_of_a_newer_format_stops_reading_and_merging_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive_of(tmp_path, golden("events", 1))
    rows = ArchiveReader(tmp_path).read("events")
    with monkeypatch.context() as newer:
        newer.setattr("feature_repo.archive_files.FORMAT", FORMAT + 1)
        path = write_file(rows, tmp_path / "events" / "date=2026-03-02", "part-newer")
    with pytest.raises(UnknownFormat, match=rf"part-newer\.parquet of archive format '{FORMAT + 1}'.*newer Millstream"):
        ArchiveReader(tmp_path).read("events")
    shutil.copy(path, path.with_name("part-newer-2.parquet"))
    with pytest.raises(UnknownFormat):
        ArchiveMerge(tmp_path).one(everything=True)
    assert len(list(tmp_path.rglob("*.parquet"))) == 3
