"""Progress of a training in other processes: one writes it to a file on storage that they share, one follows."""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from training.loop_config import Progress

WRITE_EVERY_S = 0.25
LOOK_EVERY_S = 0.5


class ProgressFile:
    """A `Progress` that leaves its newest word in a file, a few times a second at most."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = float("-inf")

    def __call__(self, what: str, share: float) -> None:
        """Says what is being done and the share that is done."""
        now = time.monotonic()
        if now - self._written < WRITE_EVERY_S:
            return
        self._written = now
        unfinished = self._path.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps({"what": what, "share": share}))
        unfinished.replace(self._path)


@contextmanager
def followed(path: Path, progress: Progress) -> Iterator[None]:
    """Calls `progress` with each new word in a file, from a thread of its own, until the block ends."""
    ended = threading.Event()

    def follow() -> None:
        seen = ""
        while not ended.wait(LOOK_EVERY_S):
            word = path.read_text() if path.exists() else ""
            if word and word != seen:
                seen = word
                said = json.loads(word)
                progress(said["what"], said["share"])

    thread = threading.Thread(target=follow, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
