"""A worker's own folder for its copies of states: the first one that no other living process holds.

Two workers that share a directory get a folder each, and one that is killed and started again gets its old folder back:
the operating system drops a dead process's lock.
"""

import fcntl
import logging
from pathlib import Path
from typing import IO

log = logging.getLogger(__name__)

MOST_WORKERS = 1000


class WorkerSlot:
    """A claimed folder; `release` or the end of the process gives it up.

    Attributes:
        directory: The folder.

    Args:
        root: Where the folders are; made where it is not there.

    Raises:
        RuntimeError: every folder is held.
    """

    def __init__(self, root: Path):
        root.mkdir(parents=True, exist_ok=True)
        for number in range(MOST_WORKERS):
            lock = _locked(root / f"worker-{number}.lock")
            if lock is not None:
                self._lock = lock
                self.directory = root / f"worker-{number}"
                self.directory.mkdir(exist_ok=True)
                log.info("the states' copies are in %s", self.directory)
                return
        raise RuntimeError(
            f"found {MOST_WORKERS} workers in {root}; expected a free folder; give workers roots of their own"
        )

    def release(self) -> None:
        """Gives the folder up."""
        self._lock.close()


def _locked(path: Path) -> "IO[str] | None":
    """The open and locked file; None where another process holds it."""
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file
