"""Starts a command tied to its parent: when the parent dies, however it dies, the command gets SIGTERM.

Run as `python -I -S leash.py PARENT_PID COMMAND...`; it becomes the command (exec), so the pid stays. Linux only, where
the tie is `prctl(PR_SET_PDEATHSIG)`. Standard library only: it runs before any environment is set up.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ties itself to the parent and becomes the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        sys.exit(f"leash: prctl failed with errno {ctypes.get_errno()}")
    if os.getppid() != parent:  # It died between the fork and the tie.
        sys.exit(0)
    os.execvp(command[0], command)  # noqa: S606 - a command of our own specs


if __name__ == "__main__":
    main()
