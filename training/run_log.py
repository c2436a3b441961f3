"""Scalars of a training run over its steps, for TensorBoard: `tensorboard --logdir <state_dir>/tensorboard`.

Worker 0 writes them; the other workers, and runs that nobody watches, have the log that keeps nothing.
"""

import re
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from contracts.errors import BadInput


class Scalar(StrEnum):
    """What a training of the towers logs."""

    LOSS = "towers/loss"  # over steps
    VALIDATION_LOSS = "towers/validation_loss"  # over epochs; 0 is before the first


class RunLog(Protocol):
    """Where scalars go."""

    def scalar(self, name: str, value: float, step: int) -> None:
        """Keeps one value of a step, from 0."""

    def close(self) -> None:
        """Writes what is still held."""


class NoRunLog:
    """Keeps nothing."""

    def scalar(self, name: str, value: float, step: int) -> None:
        """Drops the value."""

    def close(self) -> None:
        """Nothing is held."""


class TensorBoardLog:
    """Event files of one run in a directory of its own.

    Args:
        directory: `<state_dir>/tensorboard/<run>`; a resumed run goes on in it.
    """

    def __init__(self, directory: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter  # half a second, and only here

        self._writer = SummaryWriter(str(directory))

    def scalar(self, name: str, value: float, step: int) -> None:
        """Writes one value of a step; it may stay in memory for two minutes, or until `close`."""
        self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Writes what is still held."""
        self._writer.close()

    def __enter__(self) -> Self:
        """The log itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Closes it."""
        self.close()


def run_log(state_dir: Path, run: str, rank: int) -> RunLog:
    """The log of a run for a worker: event files for worker 0, nothing for the others.

    Raises:
        BadInput: the run's name is no plain folder name.
    """
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", run):
        raise BadInput(f"found {run!r} as a run's name; expected letters, digits, '.', '_' and '-'; rename the run")
    return TensorBoardLog(state_dir / "tensorboard" / run) if rank == 0 else NoRunLog()
