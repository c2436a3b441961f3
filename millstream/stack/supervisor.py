"""The supervisor: starts the processes as their needs allow, restarts what dies or stalls, stops all in order.

One thread, one loop of small steps. Starting up is patient only so long: a process that dies `START_ATTEMPTS` times
before the stack was ever ready ends the start with its log's last lines. After that nothing is ever given up.
"""

import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from contracts.settings import Settings
from millstream.stack.kin import adopt_orphans, sweep
from millstream.stack.specs import ProcessSpec, in_order
from millstream.stack.state import Phase, StackRecord, write_state
from millstream.stack.supervised import Supervised

_log = logging.getLogger(__name__)

STEP_S = 0.2
REAP_EVERY_STEPS = 25
START_ATTEMPTS = 3
_MET = (Phase.READY, Phase.DONE)

StallCheck = Callable[[], dict[str, str]]
"""Which processes make no progress, and why, by name; empty while all is well."""


class Supervisor:
    """Runs a set of processes until it is told to stop.

    Args:
        specs: The processes.
        settings: Handed to them as their environment.
        state_file: Where the record is kept for the commands.
        mark: Names this stack in the environment of its processes.
        stalled: Asked at each step once the stack is ready.
        log_lost: Called when the process that carries the log has died, after what needs it was stopped and before
            it starts anew.
    """

    def __init__(
        self,
        specs: Sequence[ProcessSpec],
        settings: Settings,
        state_file: Path,
        mark: str,
        *,
        stalled: StallCheck = dict,
        log_lost: Callable[[], None] = lambda: None,
    ):
        self._layers = [[Supervised(spec, settings, mark) for spec in layer] for layer in in_order(tuple(specs))]
        self._all = {process.spec.name: process for layer in self._layers for process in layer}
        self._state_file = state_file
        self._mark = mark
        self._stalled = stalled
        self._log_lost = log_lost
        self._phase = Phase.STARTING
        self._failure = ""
        self._written: StackRecord | None = None
        self._steps = 0

    @property
    def phase(self) -> Phase:
        """Where the stack is: starting, ready, failed or stopped."""
        return self._phase

    def run(self, stop: Callable[[], bool], on_ready: Callable[[], None] = lambda: None) -> Phase:
        """Supervises until `stop()` is true or the start failed; then stops everything. Returns the last phase.

        `on_ready` is called once, when the stack is ready for the first time.
        """
        adopt_orphans()
        try:
            while not stop() and self._phase is not Phase.FAILED:
                was = self._phase
                self.step()
                if was is Phase.STARTING and self._phase is Phase.READY:
                    on_ready()
                time.sleep(STEP_S)
        finally:
            failed = self._phase is Phase.FAILED
            self.stop()
            if failed:
                self._phase = Phase.FAILED
            self._write()
        return self._phase

    def step(self) -> None:
        """Looks at every process once, and starts, restarts or gives up accordingly."""
        for process in self._all.values():
            before = process.phase
            process.look()
            if process.phase is Phase.RESTARTING and before is not Phase.RESTARTING:
                self._after_death(process)
            if process.phase is Phase.WAITING and self._needs_met(process):
                process.start()
        if self._phase is Phase.READY:
            for name, reason in self._stalled().items():
                self._end_stalled(name, reason)
        elif self._phase is Phase.STARTING and all(process.phase in _MET for process in self._all.values()):
            self._phase = Phase.READY
        if self._steps % REAP_EVERY_STEPS == 0:
            reap_adopted(frozenset(p.child_pid for p in self._all.values() if p.child_pid is not None))
        self._steps += 1
        self._write()

    def stop(self) -> None:
        """Ends the processes, those first that others do not need, then whatever still bears the stack's mark."""
        for layer in reversed(self._layers):
            for process in layer:
                process.ask_to_end()
            for process in layer:
                process.end_now()
        sweep(self._mark)
        self._phase = Phase.STOPPED

    def record(self) -> StackRecord:
        """The stack as it is now."""
        return StackRecord(
            mark=self._mark,
            supervisor_pid=os.getpid(),
            supervisor_started=psutil.Process().create_time(),
            phase=self._phase,
            failure=self._failure,
            processes=tuple(process.record() for process in self._all.values()),
        )

    def _needs_met(self, process: Supervised) -> bool:
        return all(self._all[name].phase in _MET for name in process.spec.needs)

    def _after_death(self, process: Supervised) -> None:
        _log.warning("%s: %s", process.spec.name, process.note)
        if self._phase is Phase.STARTING and process.restarts >= START_ATTEMPTS:
            self._phase = Phase.FAILED
            self._failure = process.failure()
        elif self._phase is Phase.READY and process.spec.carries_log:
            self._restore_log(process)

    def _end_stalled(self, name: str, reason: str) -> None:
        process = self._all[name]
        if process.phase is Phase.READY:
            process.restart(reason)
            self._after_death(process)

    def _restore_log(self, lost: Supervised) -> None:
        """What needs the lost log, directly or not, stops now and runs again once its needs are met."""
        dependents = {lost.spec.name}
        for layer in self._layers:
            dependents |= {p.spec.name for p in layer if dependents.intersection(p.spec.needs)}
        for layer in reversed(self._layers):
            for process in layer:
                if process.spec.name in dependents and process is not lost:
                    process.ask_to_end()
            for process in layer:
                if process.spec.name in dependents and process is not lost:
                    process.rerun()
        self._log_lost()

    def _write(self) -> None:
        record = self.record()
        if record != self._written:
            write_state(self._state_file, record)
            self._written = record


def reap_adopted(own: frozenset[int]) -> None:
    """Collects ended orphans, so that they do not stay as zombies; `own` are the pids that Popen itself waits for."""
    for child in psutil.Process().children():
        try:
            if child.pid not in own and child.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(child.pid, os.WNOHANG)
        except (psutil.NoSuchProcess, ChildProcessError):
            continue
