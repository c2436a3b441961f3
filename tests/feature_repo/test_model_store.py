"""The model store: a version is whole, or it is not there."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contracts.errors import BadCheckpoint, NoModel
from contracts.ids import ModelVersion
from contracts.versions import PublishedVersion
from feature_repo.model_store import ANNOUNCED, MANIFEST, PARTIAL, ModelStore
from feature_repo.partials import UNCHANGED_S, place
from tests.builders.files import long_ago
from tests.builders.servers import REPOSITORY


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
    assert store.manifest(ModelVersion("v-1")) == version("v-1")


def test_an_empty_store_has_no_latest_version(tmp_path: Path) -> None:
    assert ModelStore(tmp_path / "nowhere").latest() is None
    assert ModelStore(tmp_path / "nowhere").versions() == []


def test_a_save_that_aborts_leaves_no_version_and_no_files(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    with pytest.raises(OSError, match="disk full"):
        store.write(version("v-1"), abort)
    assert store.versions() == []
    assert list(tmp_path.iterdir()) == []


DEAD = 2**22 + 1
"""Above the highest process id of Linux."""

OTHER_PLACE = "0" * 16


def half_written(directory: Path, name: str) -> Path:
    left = directory / f"{PARTIAL}{name}"
    left.mkdir(parents=True)
    weights(left)
    return left


def test_what_a_crashed_writer_left_is_no_version_and_is_swept(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    left = half_written(tmp_path, f"{place()}-{DEAD}-aa")
    assert store.versions() == []
    store.write(version("v-1"), weights)
    assert not left.exists()


def test_a_partial_version_of_a_living_writer_is_left_alone(tmp_path: Path) -> None:
    living = half_written(tmp_path, f"{place()}-{os.getpid()}-aa")
    ModelStore(tmp_path).write(version("v-1"), weights)
    assert living.exists()


@pytest.mark.parametrize("name", [f"{OTHER_PLACE}-{DEAD}-aa", f"{DEAD}-aa"])
def test_a_partial_version_of_another_machine_is_left_alone_until_it_is_unchanged_for_a_day(
    tmp_path: Path, name: str
) -> None:
    store, elsewhere = ModelStore(tmp_path), half_written(tmp_path, name)
    store.write(version("v-1"), weights)
    assert elsewhere.exists()
    long_ago(elsewhere, UNCHANGED_S - 60)
    store.write(version("v-2"), weights)
    assert elsewhere.exists()
    long_ago(elsewhere, UNCHANGED_S + 60)
    store.write(version("v-3"), weights)
    assert not elsewhere.exists()


def test_a_process_that_is_dead_here_may_live_in_another_pid_namespace(tmp_path: Path) -> None:
    program = "from feature_repo.partials import place; print(place())"
    command = ["unshare", "--user", "--pid", "--fork", "--mount-proc", sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, check=False, cwd=REPOSITORY, text=True)
    if ended.returncode:
        pytest.skip("no unshare, or no user namespaces")
    elsewhere = half_written(tmp_path, f"{ended.stdout.strip()}-{DEAD}-aa")
    ModelStore(tmp_path).write(version("v-1"), weights)
    assert elsewhere.exists()


def test_a_directory_without_a_manifest_is_no_version(tmp_path: Path) -> None:
    (tmp_path / "v-1").mkdir()
    with pytest.raises(NoModel, match="v-1"):
        ModelStore(tmp_path).path(ModelVersion("v-1"))
    assert ModelStore(tmp_path).versions() == []


def test_a_corrupt_manifest_is_passed_over_for_an_older_version(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    for name in ("v-1", "v-2"):
        store.write(version(name), weights)
        store.mark_announced(ModelVersion(name))
    (tmp_path / "v-2" / MANIFEST).write_text("{")
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


def test_the_newest_version_is_the_one_announced_last_whatever_its_name(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    for name in ("v-9", "v-1", "v-5"):
        store.write(version(name), weights)
    assert (store.latest(), store.announced()) == (None, [])
    for name in ("v-9", "v-1"):
        store.mark_announced(ModelVersion(name))
    assert store.versions() == ["v-5", "v-9", "v-1"]
    assert store.announced() == ["v-9", "v-1"]
    assert store.latest() == version("v-1")


def test_a_version_announced_again_is_the_newest_and_one_that_is_so_stays_as_it_is(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    for name in ("v-1", "v-2"):
        store.write(version(name), weights)
        store.mark_announced(ModelVersion(name))
    before = (tmp_path / "v-2" / ANNOUNCED).read_bytes()
    store.mark_announced(ModelVersion("v-2"))
    assert (tmp_path / "v-2" / ANNOUNCED).read_bytes() == before
    store.mark_announced(ModelVersion("v-1"))
    assert store.announced() == ["v-2", "v-1"]
    store.mark_announced(ModelVersion("v-nowhere"))
    assert store.announced() == ["v-2", "v-1"]


def test_a_removed_version_is_gone_and_removing_it_again_is_no_error(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    store.write(version("v-1"), weights)
    store.remove(ModelVersion("v-1"))
    store.remove(ModelVersion("v-1"))
    assert list(tmp_path.iterdir()) == []
