"""Progress of a training in other processes: one writes it to a file on storage that they share, one follows."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from training.loop_config import Progress

WRITE_EVERY_S = 0.25
LOOK_EVERY_S = 0.5


class ProgressFile:
    """A `Progress` that leaves its words in a file, a line each: every new stage, and a few shares of it a second."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._what = ""
        self._written = float("-inf")

    def __call__(self, what: str, share: float) -> None:
        """Says what is being done and the share that is done."""
        now = time.monotonic()
        if what == self._what and now - self._written < WRITE_EVERY_S:
            return
        self._what, self._written = what, now
        with self._path.open("a") as file:
            file.write(json.dumps({"what": what, "share": share}) + "\n")


@contextmanager
def followed(path: Path, progress: Progress) -> Iterator[None]:
    """Calls `progress` with each word in a file, from a thread of its own, until the block ends and all are told."""
    ended = threading.Event()

    def follow() -> None:
        told = 0
        while not ended.wait(LOOK_EVERY_S):
            told = _tell(path, told, progress)
        _tell(path, told, progress)

    thread = threading.Thread(target=follow, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _tell(path: Path, told: int, progress: Progress) -> int:
    """Calls `progress` with the whole lines from byte `told` on, and gives the byte after them."""
    if not path.exists():
        return told
    with path.open("rb") as file:
        file.seek(told)
        new = file.read()
    whole = new[: new.rfind(b"\n") + 1]
    for line in whole.splitlines():
        said = json.loads(line)
        progress(said["what"], said["share"])
    return told + len(whole)
