"""The state of a training between two steps, on disk: all that a resumed training needs to go on bit for bit.

Saving, by which a state that can be found is whole:
1. The tensors are written into a hidden sibling directory and synced.
2. A manifest (schema, fingerprint, size and SHA-256) is written beside them and synced.
3. The directory is renamed to its place, and its parent synced.
4. Older states are removed.

A crash or a full disk before 3 leaves the state before it as it was.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from contracts.errors import BadCheckpoint, CheckpointNotSaved
from feature_repo.synced import sync

SCHEMA = 2
TENSORS = "state.pt"
MANIFEST = "manifest.json"
_PREFIX = "state-"
_UNFINISHED = ".unfinished-"

Fingerprint = Mapping[str, str | int | float]
"""What must be the same for a state to be another training's continuation: parameters, epochs, rate, seed."""


@dataclass
class Position:
    """Where a training stands.

    Attributes:
        step: Optimizer steps done.
        epoch: Epochs finished.
        windows: Windows of the epoch under way that all workers have consumed.
        planned: Optimizer steps that the schedule counts on.
        elapsed_s: Seconds trained.
        losses: Mean loss of each finished epoch.
        loss_sum: Sum of the loss over the targets of the epoch under way; float64.
        targets: How many those are.
        best_loss: Lowest validation loss; infinite before the first.
        worse: Epochs since then.
        resumed_at: Steps at which the training went on after it was interrupted.
        finished: Whether nothing is left to do.
    """

    step: int = 0
    epoch: int = 0
    windows: int = 0
    planned: int = 0
    elapsed_s: float = 0.0
    losses: list[float] = field(default_factory=list)
    loss_sum: float = 0.0
    targets: float = 0.0
    best_loss: float = float("inf")
    worse: int = 0
    resumed_at: list[int] = field(default_factory=list)
    finished: bool = False


@dataclass(frozen=True)
class TrainState:
    """A training between two steps; every tensor is whole, so that it fits any number of workers.

    Attributes:
        position: Where it stands.
        weights: By parameter and buffer name.
        best: The weights of the lowest validation loss, by the same names; empty before the first.
        optimizer: As `torch.optim.Optimizer.state_dict`.
        generators: States of the random generators, by worker.
    """

    position: Position
    weights: dict[str, Tensor]
    best: dict[str, Tensor]
    optimizer: dict[str, Any]
    generators: list[dict[str, Any]]


def save(directory: Path, state: TrainState, fingerprint: Fingerprint) -> Path:
    """Saves a state by the protocol of this module.

    Args:
        directory: Of this training's states; made where it is missing.
        state: What to save.
        fingerprint: Of the training; `load` compares it.

    Returns:
        Where it lies.

    Raises:
        CheckpointNotSaved: the disk is full or away; the state saved before is still there.
    """
    newest = _newest(directory)
    number = 1 if newest is None else int(newest.name.removeprefix(_PREFIX)) + 1
    place, unfinished = directory / f"{_PREFIX}{number:09d}", directory / f"{_UNFINISHED}{number:09d}"
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        written = _write_tensors(unfinished / TENSORS, {**vars(state), "position": asdict(state.position)})  # 1
        manifest = {"schema": SCHEMA, "fingerprint": dict(fingerprint), "files": {TENSORS: written}}
        _write(unfinished / MANIFEST, json.dumps(manifest, indent=2).encode())  # 2
        unfinished.rename(place)
        sync(directory)  # 3
    except (OSError, RuntimeError) as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        kept = f"the one before it, {newest}, is whole" if newest else "there is none before it"
        raise CheckpointNotSaved(
            f"found no room or no way to write a training state to {directory} ({type(error).__name__}: {error}); "
            f"expected a disk with space for it; {kept}: free space and start the training again, it goes on from there"
        ) from error
    for old in directory.glob(f"{_PREFIX}*"):  # 4
        if old != place:
            shutil.rmtree(old, ignore_errors=True)
    return place


def load(directory: Path, fingerprint: Fingerprint) -> TrainState | None:
    """The newest state of a training; None where none was saved yet.

    Raises:
        BadCheckpoint: it is not whole, was written by other code, or belongs to another training.
    """
    newest = _newest(directory)
    if newest is None:
        return None
    try:
        manifest = json.loads((newest / MANIFEST).read_text())
        schema, known, files = manifest["schema"], manifest["fingerprint"], manifest["files"]
        if schema != SCHEMA:
            raise _bad(newest, f"schema {schema}", f"schema {SCHEMA}")
        for name in sorted({*known, *fingerprint}):
            if known.get(name) != fingerprint.get(name):
                raise _bad(newest, f"{name}={known.get(name)!r}", f"{name}={fingerprint.get(name)!r}")
        for name, expected in files.items():
            found = _measured(newest / name)
            if found != expected:
                raise _bad(newest, f"{name} with {found}", f"{expected}")
        kept = torch.load(newest / TENSORS, map_location="cpu", weights_only=True)
        return TrainState(**{**kept, "position": Position(**kept["position"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise _bad(
            newest, f"{type(error).__name__}: {error}", f"{TENSORS} and {MANIFEST} of schema {SCHEMA}"
        ) from error


def _bad(place: Path, found: str, expected: str) -> BadCheckpoint:
    return BadCheckpoint(
        f"found {found} in the training state {place}; expected {expected}; "
        f"remove {place.parent} to train from the beginning"
    )


def _newest(directory: Path) -> Path | None:
    return max(directory.glob(f"{_PREFIX}*"), default=None)


class _Hashed:
    """A file that counts and hashes what passes through it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=1 << 20)
        self._hash = hashlib.sha256()
        self._bytes = 0

    def write(self, block: bytes) -> int:
        self._hash.update(block)
        self._bytes += memoryview(block).nbytes
        return self._file.write(block)

    def flush(self) -> None:
        self._file.flush()

    def end(self) -> dict[str, Any]:
        self._file.flush()
        os.fsync(self._file.fileno())
        return {"bytes": self._bytes, "sha256": self._hash.hexdigest()}

    def close(self) -> None:
        self._file.close()


def _write_tensors(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    file = _Hashed(path)
    try:
        torch.save(content, file)  # type: ignore[arg-type]  # all that it asks of a file is write and flush
        return file.end()
    finally:
        file.close()


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _measured(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
