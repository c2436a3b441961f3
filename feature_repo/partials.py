"""Half-written directories: named after who writes them, and swept only when that writer is known to be gone.

A process id means something in one PID namespace of one running kernel alone. The name bears both, as `place`: a
writer of the same place is gone once its process is; of any other place nothing is known, so what it left is swept
only after `UNCHANGED_S` without a change. Ages are differences of the disk's own times: no machine's clock is read.
"""

import hashlib
import os
import re
import secrets
import shutil
from functools import lru_cache
from pathlib import Path

PARTIAL = ".partial-"
UNCHANGED_S = 86400.0
"""A day: no version takes that long to write."""

_NAME = re.compile(rf"{re.escape(PARTIAL)}(?P<place>[0-9a-f]{{16}})-(?P<process>\d+)-[0-9a-f]+")


@lru_cache(maxsize=1)
def place() -> str:
    """Names this kernel's present run and this process's PID namespace; random where the system tells neither."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        words = f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        words = secrets.token_hex(16)
    return hashlib.sha256(words.encode()).hexdigest()[:16]


def partial_in(directory: Path) -> Path:
    """A new name for a half-written directory of this process."""
    return directory / f"{PARTIAL}{place()}-{os.getpid()}-{secrets.token_hex(4)}"


def sweep(directory: Path) -> list[Path]:
    """Removes what writers left that are gone, and returns it."""
    now_s = newest_change_s(directory)
    left = [path for path in directory.glob(f"{PARTIAL}*") if _is_left(path, now_s)]
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    return left


def newest_change_s(path: Path) -> float:
    """When a directory or a file of it was changed last, seconds by the disk's clock; 0 where it is not there."""
    changed_s = 0.0
    for each in (path, *path.rglob("*")):
        try:
            changed_s = max(changed_s, each.lstat().st_mtime)
        except FileNotFoundError:
            continue
    return changed_s


def _is_left(path: Path, now_s: float) -> bool:
    name = _NAME.fullmatch(path.name)
    if name is not None and name["place"] == place() and not Path(f"/proc/{name['process']}").exists():
        return True
    return now_s - newest_change_s(path) >= UNCHANGED_S
