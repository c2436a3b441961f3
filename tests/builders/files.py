"""Directories as a test wants to find them."""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def long_ago(directory: Path, seconds: float) -> None:
    """Makes a directory and all in it look unchanged for so many seconds."""
    at = time.time() - seconds
    for path in (*directory.rglob("*"), directory):
        os.utime(path, (at, at))


def fill(path: Path) -> None:
    """Writes a file until its disk is full."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


@contextmanager
def small_disk(directory: Path, megabytes: int) -> Iterator[Path]:
    """A file system of so many megabytes in a directory; skips the test where this process may not mount one."""
    directory.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(directory)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("no right to mount a tmpfs")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)
