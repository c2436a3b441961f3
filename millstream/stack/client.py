"""Starting and stopping a stack from a command: the supervisor is a process of its own, told by signals and a file."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil

from contracts.errors import StackError
from contracts.settings import Settings
from millstream.stack.environment import setting_variables
from millstream.stack.fresh import put_aside_derived_state
from millstream.stack.kin import sweep
from millstream.stack.ports import require_free
from millstream.stack.processes import stack_processes
from millstream.stack.state import Phase, StackRecord, read_state, running_stack, state_file
from millstream.stack.supervised import last_lines

START_LIMIT_S = 240.0
STOP_LIMIT_S = 90.0
POLL_S = 0.2

_started: dict[int, "subprocess.Popen[bytes]"] = {}
"""Supervisors started by this process and not yet ended, by pid."""


def stack_mark(settings: Settings) -> str:
    """The name of the stack of these settings: one a state directory."""
    return "millstream-" + hashlib.sha256(str(settings.state_dir.absolute()).encode()).hexdigest()[:12]


def start_stack(settings: Settings, *, leashed: bool) -> StackRecord:
    """Checks that the way is clear and starts the supervisor; returns before the processes are ready.

    Args:
        settings: Of the stack to start.
        leashed: Whether the stack ends with the calling process, however that ends.

    Raises:
        StackError: a stack is running already, a port is taken, or the supervisor does not start.
    """
    running = running_stack(settings)
    if running is not None:
        raise StackError(
            f"found a running stack in {settings.state_dir.absolute()} (supervisor pid {running.supervisor_pid}); "
            "expected none; stop it with: millstream down"
        )
    sweep(stack_mark(settings))
    require_free([port for spec in stack_processes(settings) for port in spec.ports])
    put_aside_derived_state(settings)
    settings.logs_dir.mkdir(parents=True, exist_ok=True)
    log = settings.logs_dir / "supervisor.log"
    command = [sys.executable, "-m", "millstream.stack"] + (["--leash", str(os.getpid())] if leashed else [])
    with log.open("ab") as output:
        supervisor = subprocess.Popen(  # noqa: S603 - our own module
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, **setting_variables(settings)},
        )  # fmt: skip
    _started[supervisor.pid] = supervisor
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        record = running_stack(settings)
        if record is not None and record.supervisor_pid == supervisor.pid:
            return record
        if supervisor.poll() is not None:
            break
        time.sleep(POLL_S)
    raise StackError(f"found no supervisor after its start; expected one; its log {log} ends:\n{last_lines(log, 12)}")


def wait_until_ready(settings: Settings, progress: Callable[[StackRecord], None]) -> StackRecord:
    """Returns once every process is ready. `progress` is shown each new record.

    Raises:
        StackError: a process failed to start (with its log's last lines), or it all took too long.
    """
    deadline = time.monotonic() + START_LIMIT_S
    record = None
    while time.monotonic() < deadline:
        record = read_state(state_file(settings))
        if record is not None:
            progress(record)
            if record.phase is Phase.READY:
                return record
            if record.phase in (Phase.FAILED, Phase.STOPPED) or not record.supervised():
                raise StackError(f"the stack did not start: {record.failure or 'the supervisor ended'}")
        time.sleep(POLL_S)
    waiting = [p.name for p in record.processes if p.phase not in (Phase.READY, Phase.DONE)] if record else []
    raise StackError(f"found {waiting} not ready after {START_LIMIT_S:.0f} s; see {settings.logs_dir.absolute()}")


def stop_stack(settings: Settings) -> int:
    """Stops the stack of these settings, leaving nothing of it running.

    Returns:
        How many processes were left over and had to be ended one by one; 0 after an orderly stop.

    Raises:
        StackError: the supervisor does not end.
    """
    record = running_stack(settings)
    if record is not None:
        os.kill(record.supervisor_pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_LIMIT_S
        while record.supervised():
            if time.monotonic() > deadline:
                psutil.Process(record.supervisor_pid).kill()
            _collect(record.supervisor_pid)
            time.sleep(POLL_S)
        _collect(record.supervisor_pid)
    return sweep(stack_mark(settings))


def _collect(pid: int) -> None:
    """Takes note of the end of a supervisor that this process started, so that it does not stay as a zombie."""
    supervisor = _started.get(pid)
    if supervisor is not None and supervisor.poll() is not None:
        del _started[pid]
