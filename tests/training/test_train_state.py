import json
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from contracts.errors import BadCheckpoint, CheckpointNotSaved
from training import train_state
from training.train_state import Position, TrainState

FINGERPRINT = {"parameters": "abc", "epochs": 3, "learning_rate": 0.1}


def state(step: int = 1, elements: int = 10) -> TrainState:
    weights = {"weight": torch.full((elements,), float(step))}
    return TrainState(Position(step=step, losses=[0.1 + 0.2]), weights, {}, {"state": {}, "param_groups": []}, [])


@contextmanager
def files_of_at_most(count: int) -> Iterator[None]:
    """A disk that fills: no file of this process grows beyond `count` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_state_comes_back_bit_for_bit_and_only_the_newest_is_kept(tmp_path: Path) -> None:
    train_state.save(tmp_path, state(step=1), FINGERPRINT)
    place = train_state.save(tmp_path, state(step=2), FINGERPRINT)
    found = train_state.load(tmp_path, FINGERPRINT)
    assert found is not None
    assert found.position == Position(step=2, losses=[0.1 + 0.2])
    assert torch.equal(found.weights["weight"], torch.full((10,), 2.0))
    assert [path.name for path in tmp_path.iterdir()] == [place.name]


def test_a_training_that_never_saved_has_no_state(tmp_path: Path) -> None:
    assert train_state.load(tmp_path / "missing", FINGERPRINT) is None


def test_a_state_cut_off_before_its_rename_is_not_found(tmp_path: Path) -> None:
    kept = train_state.save(tmp_path, state(step=1), FINGERPRINT)
    half = tmp_path / ".unfinished-000000002"
    half.mkdir()
    (half / train_state.TENSORS).write_bytes(b"half")
    found = train_state.load(tmp_path, FINGERPRINT)
    assert found is not None
    assert found.position.step == 1
    assert train_state.save(tmp_path, state(step=2), FINGERPRINT) != kept
    assert not half.exists()


def _cut(place: Path) -> None:
    tensors = place / train_state.TENSORS
    tensors.write_bytes(tensors.read_bytes()[:-100])


def _flip(place: Path) -> None:
    tensors = place / train_state.TENSORS
    content = bytearray(tensors.read_bytes())
    content[len(content) // 2] ^= 1
    tensors.write_bytes(bytes(content))


def _lose_manifest(place: Path) -> None:
    (place / train_state.MANIFEST).unlink()


def _lose_tensors(place: Path) -> None:
    (place / train_state.TENSORS).unlink()


def _other_schema(place: Path) -> None:
    manifest = json.loads((place / train_state.MANIFEST).read_text())
    (place / train_state.MANIFEST).write_text(json.dumps(manifest | {"schema": train_state.SCHEMA + 1}))


def _half_manifest(place: Path) -> None:
    manifest = place / train_state.MANIFEST
    manifest.write_text(manifest.read_text()[:20])


@pytest.mark.parametrize("spoil", [_cut, _flip, _lose_manifest, _lose_tensors, _other_schema, _half_manifest])
def test_a_spoilt_state_is_refused_and_the_message_names_it(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    place = train_state.save(tmp_path, state(), FINGERPRINT)
    spoil(place)
    with pytest.raises(BadCheckpoint, match=place.name):
        train_state.load(tmp_path, FINGERPRINT)


def test_another_trainings_state_is_refused_by_what_differs(tmp_path: Path) -> None:
    train_state.save(tmp_path, state(), FINGERPRINT)
    with pytest.raises(BadCheckpoint, match=r"epochs=3.*expected epochs=4"):
        train_state.load(tmp_path, FINGERPRINT | {"epochs": 4})


def test_a_disk_that_fills_while_saving_leaves_the_state_before(tmp_path: Path) -> None:
    kept = train_state.save(tmp_path, state(step=1), FINGERPRINT)
    with files_of_at_most(1 << 20), pytest.raises(CheckpointNotSaved, match=kept.name):
        train_state.save(tmp_path, state(step=2, elements=1 << 20), FINGERPRINT)  # 4 bytes an element: 4 MiB
    assert [path.name for path in tmp_path.iterdir()] == [kept.name]
    found = train_state.load(tmp_path, FINGERPRINT)
    assert found is not None
    assert found.position.step == 1


def test_a_directory_that_cannot_be_made_is_told_apart_from_a_bug(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointNotSaved, match="there is none before it"):
        train_state.save(tmp_path / "file" / "states", state(), FINGERPRINT)
