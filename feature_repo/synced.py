"""Making what was written, or renamed, outlive a power cut."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Returns once a file's content, or a folder's entries, are on the disk. Raises OSError."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
