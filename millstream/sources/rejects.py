"""Rows of a shop's file that could not be used: counted, the first few shown, all kept in a file."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import orjson

SHOWN = 5


class Rejects:
    """Collects refused rows, and counts rows that are skipped on purpose.

    Args:
        path: JSON lines (line, problem, row); written at the first reject, replacing an earlier run's.
    """

    def __init__(self, path: Path):
        self._path = path
        self._first: list[str] = []
        self._skipped: Counter[str] = Counter()
        self.count = 0

    def refuse(self, line: int, problem: str, row: object) -> None:
        """Keeps a row that is wrong; `line` counts from 1 in the file."""
        if self.count == 0:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_bytes(b"")
        self.count += 1
        if len(self._first) < SHOWN:
            self._first.append(f"line {line}: {problem}")
        kept = {"line": line, "problem": problem, "row": dict(row) if isinstance(row, Mapping) else row}
        with self._path.open("ab") as file:
            file.write(orjson.dumps(kept, default=str, option=orjson.OPT_NON_STR_KEYS) + b"\n")

    def skip(self, reason: str) -> None:
        """Counts a row that is right and of no use here."""
        self._skipped[reason] += 1

    def skipped(self, reason: str) -> int:
        """How many rows were skipped for a reason."""
        return self._skipped[reason]

    def report(self, say: Callable[[str], None]) -> None:
        """Says what was skipped and what was refused; nothing when all rows were used."""
        for reason, count in self._skipped.items():
            say(f"{count} rows skipped: {reason}")
        if self.count:
            say(f"{self.count} rows refused, kept in {self._path}; the first of them:")
            for line in self._first:
                say(f"  {line}")
