"""Which running processes belong to a stack, by the mark in their environment, and how they are ended.

A process group is not enough: Ray's daemons leave theirs. `adopt_orphans` makes the kernel hand a dead process's
children to the supervisor, so that none of them escapes to init.
"""

import ctypes
import logging
import time
from collections.abc import Iterable

import psutil

from millstream.stack.environment import MARK

_log = logging.getLogger(__name__)
_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """From now on orphaned descendants become this process's children, not init's."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        _log.warning("prctl(PR_SET_CHILD_SUBREAPER) failed with errno %d", ctypes.get_errno())


def marked_processes(mark: str) -> list[psutil.Process]:
    """Every running process of ours whose mark is `mark` or begins with `mark` and a slash."""
    found = []
    for process in psutil.process_iter():
        try:
            value = process.environ().get(MARK, "")
            if (value == mark or value.startswith(f"{mark}/")) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def end(processes: Iterable[psutil.Process], grace_s: float) -> int:
    """Asks the processes to end, waits up to `grace_s`, then kills what is left. Returns how many there were."""
    listed = list(processes)
    for process in listed:
        try:
            process.terminate()
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(listed, timeout=grace_s)
    for process in alive:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(alive, timeout=5)
    return len(listed)


def sweep(mark: str, grace_s: float = 5.0) -> int:
    """Ends every process of the mark, until none appears any more. Returns how many were ended."""
    ended = 0
    for _ in range(5):
        processes = [process for process in marked_processes(mark) if process.pid != psutil.Process().pid]
        if not processes:
            break
        ended += end(processes, grace_s)
        time.sleep(0.1)
    return ended


def resident_bytes(mark: str) -> int:
    """Memory of all processes of the mark, shared pages counted once (proportional set size)."""
    total = 0
    for process in marked_processes(mark):
        try:
            total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total
