"""Vectors of pictures already encoded, on disk by content, so that a warm start encodes nothing twice.

One SQLite file an encoder, in WAL mode: several replicas may share it. Losing it costs time only.
"""

import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from contracts.ports import Vectors

_LOOK_UP_AT_ONCE = 500


def content_key(content: bytes) -> bytes:
    """SHA-256 of the content."""
    return hashlib.sha256(content).digest()


class VectorCache:
    """A file of vectors; for one thread at a time.

    Args:
        directory: Where the file is.
        encoder: Name of the encoder: its vectors are never mixed with another's.
    """

    def __init__(self, directory: Path, encoder: str):
        directory.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(directory / f"vectors-{encoder}.sqlite", timeout=30, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.execute("CREATE TABLE IF NOT EXISTS vectors (content BLOB PRIMARY KEY, vector BLOB NOT NULL)")
        self._connection.commit()

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Vectors]:
        """The vectors that are there, each (D,) float32."""
        found: dict[bytes, Vectors] = {}
        for start in range(0, len(keys), _LOOK_UP_AT_ONCE):
            some = keys[start : start + _LOOK_UP_AT_ONCE]
            marks = ",".join("?" * len(some))
            rows = self._connection.execute(f"SELECT content, vector FROM vectors WHERE content IN ({marks})", some)  # noqa: S608 - only question marks
            found.update((key, np.frombuffer(vector, "<f4")) for key, vector in rows)
        return found

    def put(self, vectors: Mapping[bytes, Vectors]) -> None:
        """Keeps vectors."""
        rows = [(key, vector.astype("<f4").tobytes()) for key, vector in vectors.items()]
        with self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()
