"""`millstream archive merge`: every small file is merged, and it says what it did."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from contracts.settings import settings
from feature_repo.archive import ArchiveReader
from millstream.cli import app
from tests.feature_repo.test_archive_merge import files, flushed


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("MILLSTREAM_STATE_DIR", str(tmp_path))
    settings.cache_clear()
    yield tmp_path / "archive"
    settings.cache_clear()


def test_all_small_files_are_merged_and_counted(archive: Path) -> None:
    flushed(archive, 4)
    done = CliRunner().invoke(app, ["archive", "merge"])
    assert done.exit_code == 0, done.output
    assert "events: 3 files fewer" in done.output
    assert len(files(archive)) == 1
    assert ArchiveReader(archive).read("events").num_rows == 4 * 3


def test_an_archive_with_nothing_to_merge_says_so(archive: Path) -> None:
    done = CliRunner().invoke(app, ["archive", "merge"])
    assert (done.exit_code, "nothing to merge" in done.output) == (0, True)
