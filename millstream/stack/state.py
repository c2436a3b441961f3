"""What the supervisor writes down (`stack.json`) and every command reads: one record a process, one for the stack.

The file is replaced atomically, so a reader never sees half of it.
"""

import os
from enum import StrEnum
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from contracts.bounds import UtcDatetime
from contracts.errors import StackError
from contracts.settings import Settings


class Phase(StrEnum):
    """Where a process, or the stack as a whole, is in its life."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    DONE = "done"
    RESTARTING = "restarting"
    FAILED = "failed"
    STOPPED = "stopped"


class ProcessRecord(BaseModel):
    """One process of the stack.

    Attributes:
        needs: Names of the processes that had to be ready before this one.
        note: Why it is where it is: the last exit, the last stall.
        stopped_pids: Pids that it had before.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    title: str
    phase: Phase
    pid: int | None
    restarts: int
    since: UtcDatetime
    log: Path
    needs: tuple[str, ...] = ()
    note: str = ""


class StackRecord(BaseModel):
    """The whole stack. `supervisor_started` tells a recycled pid from the supervisor's own."""

    model_config = ConfigDict(frozen=True)

    mark: str
    supervisor_pid: int
    supervisor_started: float
    phase: Phase
    failure: str = ""
    processes: tuple[ProcessRecord, ...] = ()

    def process(self, name: str) -> ProcessRecord:
        """The record of one process. Raises StackError when the stack has none of that name."""
        for record in self.processes:
            if record.name == name:
                return record
        known = ", ".join(record.name for record in self.processes)
        raise StackError(f"found no process {name!r} in the stack; expected one of: {known}")

    def supervised(self) -> bool:
        """Whether the supervisor that wrote this record is still running."""
        try:
            supervisor = psutil.Process(self.supervisor_pid)
            alive = supervisor.status() != psutil.STATUS_ZOMBIE
            return alive and abs(supervisor.create_time() - self.supervisor_started) < 1.0
        except psutil.NoSuchProcess:
            return False


def state_file(settings: Settings) -> Path:
    """Where the stack of these settings keeps its record."""
    return settings.state_dir.absolute() / "stack.json"


def write_state(path: Path, record: StackRecord) -> None:
    """Replaces the record on disk, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(record.model_dump_json(indent=2))
    os.replace(draft, path)


def read_state(path: Path) -> StackRecord | None:
    """The record on disk; None where no stack was ever started.

    Raises:
        StackError: the file is there and is no record.
    """
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    try:
        return StackRecord.model_validate_json(text)
    except ValidationError as error:
        raise StackError(f"found {path} unreadable; expected the stack's record; remove the file: {error}") from error


def running_stack(settings: Settings) -> StackRecord | None:
    """The record of a stack whose supervisor is alive; None when there is none."""
    record = read_state(state_file(settings))
    return record if record is not None and record.supervised() else None


def require_stack(settings: Settings) -> StackRecord:
    """The running stack. Raises StackError, with the command that starts one, when none is running."""
    record = running_stack(settings)
    if record is None:
        raise StackError(
            f"found no running stack in {settings.state_dir.absolute()}; expected one; start it with: millstream up"
        )
    return record
