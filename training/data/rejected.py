"""Rows and values of a file that cannot be used: counted by reason, each with the row that it was first found in."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray


class Rejected:
    """What was left out of a file, and why. Rows count from 1, after a header where there is one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._counts: Counter[str] = Counter()
        self._first: dict[str, int] = {}

    def add(self, reason: str, row: int, count: int = 1) -> None:
        """Counts rows left out for a reason; `row` is the first of them."""
        if count:
            self._counts[reason] += count
            self._first.setdefault(reason, row)

    def leave_out(self, reason: str, wrong: NDArray[np.bool_], among: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Counts the `wrong` ones of the rows `among` (L,) and gives those that remain (L,)."""
        found = wrong & among
        if found.any():
            self.add(reason, int(np.argmax(found)) + 1, int(found.sum()))
        return among & ~wrong

    def count(self, reason: str | None = None) -> int:
        """How often: of one reason, or of all."""
        return sum(self._counts.values()) if reason is None else self._counts[reason]

    def lines(self) -> list[str]:
        """One line a reason, the commonest first; empty when everything was used."""
        return [
            f"{self.name}: {count} left out, {reason} (first in row {self._first[reason]})"
            for reason, count in self._counts.most_common()
        ]
