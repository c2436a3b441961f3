"""The model store: a version is whole, or it is not there."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contracts.errors import BadCheckpoint, NoModel
from contracts.ids import ModelVersion
from contracts.versions import PublishedVersion
from feature_repo.model_store import MANIFEST, PARTIAL, ModelStore


def version(name: str) -> PublishedVersion:
    return PublishedVersion(
        version=ModelVersion(name), parent=None, origin="batch", created_at=datetime(2026, 3, 1, tzinfo=UTC),
        data_from=None, data_to=None, examples=3,
    )  # fmt: skip


def weights(directory: Path) -> None:
    (directory / "weights.bin").write_bytes(b"w")


def abort(directory: Path) -> None:
    weights(directory)
    raise OSError("disk full")


def test_a_written_version_is_found_with_its_files_and_manifest(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    path = store.write(version("v-1"), weights)
    assert path == store.path(ModelVersion("v-1"))
    assert (path / "weights.bin").read_bytes() == b"w"
    assert store.manifest(ModelVersion("v-1")) == version("v-1") == store.latest()


def test_an_empty_store_has_no_latest_version(tmp_path: Path) -> None:
    assert ModelStore(tmp_path / "nowhere").latest() is None
    assert ModelStore(tmp_path / "nowhere").versions() == []


def test_a_save_that_aborts_leaves_no_version_and_no_files(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    with pytest.raises(OSError, match="disk full"):
        store.write(version("v-1"), abort)
    assert store.versions() == []
    assert list(tmp_path.iterdir()) == []


def test_what_a_crashed_writer_left_is_no_version_and_is_swept(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    dead = 2**22 + 1  # above the highest process id of Linux
    left = tmp_path / f"{PARTIAL}{dead}-aa"
    left.mkdir()
    weights(left)
    assert store.latest() is None
    store.write(version("v-1"), weights)
    assert not left.exists()


def test_a_partial_version_of_a_living_writer_is_left_alone(tmp_path: Path) -> None:
    living = tmp_path / f"{PARTIAL}{os.getpid()}-aa"
    living.mkdir()
    ModelStore(tmp_path).write(version("v-1"), weights)
    assert living.exists()


def test_a_directory_without_a_manifest_is_no_version(tmp_path: Path) -> None:
    (tmp_path / "v-1").mkdir()
    with pytest.raises(NoModel, match="v-1"):
        ModelStore(tmp_path).path(ModelVersion("v-1"))
    assert ModelStore(tmp_path).versions() == []


def test_a_corrupt_manifest_is_passed_over_for_an_older_version(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    store.write(version("v-1"), weights)
    (store.write(version("v-2"), weights) / MANIFEST).write_text("{")
    with pytest.raises(BadCheckpoint, match="v-2"):
        store.manifest(ModelVersion("v-2"))
    assert store.latest() == version("v-1")


def test_a_version_is_never_overwritten(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    store.write(version("v-1"), weights)
    with pytest.raises(BadCheckpoint, match="already"):
        store.write(version("v-1"), weights)


@pytest.mark.parametrize("name", ["", "../v", "a/b", ".hidden"])
def test_a_name_that_leaves_the_store_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadCheckpoint, match="plain directory name"):
        ModelStore(tmp_path).write(version(name), weights)


def test_pruning_keeps_the_newest(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    for name in ("v-1", "v-2", "v-3"):
        store.write(version(name), weights)
    assert store.prune(keep=2) == ["v-1"]
    assert store.versions() == ["v-2", "v-3"]
    with pytest.raises(ValueError, match="at least 1"):
        store.prune(keep=0)
