"""One process under supervision: starting it on the leash, seeing it ready, dead or too slow, ending it and its kin."""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from contracts.clock import utc_now
from contracts.settings import Settings
from millstream.stack import leash
from millstream.stack.environment import process_environment
from millstream.stack.kin import end, marked_processes, sweep
from millstream.stack.specs import ProcessSpec
from millstream.stack.state import Phase, ProcessRecord

_log = logging.getLogger(__name__)

FIRST_BACK_OFF_S = 1.0
LONGEST_BACK_OFF_S = 30.0
STEADY_AFTER_S = 60.0
"""Ready for this long, a process has its back-off forgotten."""


class Supervised:
    """A process and where it is in its life. `monotonic` is injected for the tests."""

    def __init__(
        self, spec: ProcessSpec, settings: Settings, mark: str, monotonic: Callable[[], float] = time.monotonic
    ):
        self.spec = spec
        self.phase = Phase.WAITING
        self.note = ""
        self.restarts = 0
        self._mark = f"{mark}/{spec.name}"
        self._environment = process_environment(settings, self._mark, spec.extra)
        self._monotonic = monotonic
        self._popen: subprocess.Popen[bytes] | None = None
        self._phase_since = monotonic()
        self._since: datetime = utc_now()
        self._back_off_s = FIRST_BACK_OFF_S
        self._due = 0.0

    @property
    def pid(self) -> int | None:
        """The running process's pid; None while it does not run."""
        return self._popen.pid if self._popen is not None and self._popen.poll() is None else None

    @property
    def child_pid(self) -> int | None:
        """The pid that it was last started with, running or not."""
        return None if self._popen is None else self._popen.pid

    def record(self) -> ProcessRecord:
        """What `stack.json` says of it."""
        return ProcessRecord(
            name=self.spec.name, title=self.spec.title, phase=self.phase, pid=self.pid, restarts=self.restarts,
            since=self._since, log=self.spec.log, needs=self.spec.needs, note=self.note,
        )  # fmt: skip

    def start(self) -> None:
        """Starts it; its output goes to the end of its log file."""
        self.spec.log.parent.mkdir(parents=True, exist_ok=True)
        with self.spec.log.open("ab") as output:
            output.write(
                f"--- {utc_now().isoformat(timespec='seconds')} start {' '.join(self.spec.command)}\n".encode()
            )
            output.flush()
            self._popen = subprocess.Popen(  # noqa: S603 - the command is one of our own specs
                (sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), *self.spec.command),
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env=self._environment, start_new_session=True,
            )  # fmt: skip
        self._enter(Phase.STARTING)

    def look(self) -> None:
        """Sees whether it became ready, ended, or took too long, and changes its phase accordingly."""
        if self.phase in (Phase.STARTING, Phase.READY):
            code = self._popen.poll() if self._popen is not None else None
            if code is not None:
                self._ended(code)
            elif self.phase is Phase.STARTING:
                self._look_for_readiness()
            elif self._monotonic() - self._phase_since > STEADY_AFTER_S:
                self._back_off_s = FIRST_BACK_OFF_S
        elif self.phase is Phase.RESTARTING and self._monotonic() >= self._due:
            self._enter(Phase.WAITING)

    def restart(self, note: str) -> None:
        """Ends it and everything it started; it starts again after its back-off."""
        _log.warning("restarting %s: %s", self.spec.name, note)
        self.end_now()
        self._plan_restart(note)

    def rerun(self) -> None:
        """Makes a one-shot step or a server wait for its needs and start anew, with no back-off."""
        self.end_now()
        self._enter(Phase.WAITING)

    def ask_to_end(self) -> None:
        """Sends SIGTERM, where it runs, and returns at once."""
        if self.pid is not None and self._popen is not None:
            self._popen.terminate()

    def end_now(self) -> None:
        """Waits for an orderly end within the grace, then ends whatever of its kin is left."""
        self.ask_to_end()
        if self._popen is not None:
            try:
                self._popen.wait(timeout=self.spec.stop_grace_s)
            except subprocess.TimeoutExpired:
                _log.warning("%s did not end within %.0f s", self.spec.name, self.spec.stop_grace_s)
        end(marked_processes(self._mark), grace_s=2)
        sweep(self._mark, grace_s=1)
        if self._popen is not None:
            self._popen.wait(timeout=5)
        self._enter(Phase.STOPPED)

    def failure(self) -> str:
        """Why it failed, with the end of its log."""
        return f"{self.spec.name}: {self.note}. Last lines of {self.spec.log}:\n{last_lines(self.spec.log, 12)}"

    def _look_for_readiness(self) -> None:
        if self.spec.ready is not None and self.spec.ready():
            self._enter(Phase.READY)
        elif self._monotonic() - self._phase_since > self.spec.ready_within_s:
            self.restart(f"was not ready within {self.spec.ready_within_s:.0f} s")

    def _ended(self, code: int) -> None:
        if self.spec.one_shot and code == 0:
            self._enter(Phase.DONE)
            return
        sweep(self._mark, grace_s=2)
        self._plan_restart(f"ended with {_exit_words(code)}")

    def _plan_restart(self, note: str) -> None:
        self.note = note
        self.restarts += 1
        self._due = self._monotonic() + self._back_off_s
        self._back_off_s = min(self._back_off_s * 2, LONGEST_BACK_OFF_S)
        self._enter(Phase.RESTARTING)

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self._phase_since = self._monotonic()
        self._since = utc_now()


def last_lines(path: Path, count: int) -> str:
    """The end of a text file; empty where it is not there."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-count:])
    except FileNotFoundError:
        return ""


def _exit_words(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit status {code}"
