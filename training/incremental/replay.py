"""A uniform sample of everything learned so far, so that small steps on new examples do not forget the old ones."""

from typing import Generic, TypeVar

import numpy as np

Kept = TypeVar("Kept")


class Reservoir(Generic[Kept]):
    """Keeps each of the n elements seen with the same chance, capacity / n: Vitter, algorithm R (1985).

    Args:
        capacity: The most that it keeps.
        rng: Source of the draws.
    """

    def __init__(self, capacity: int, rng: np.random.Generator) -> None:
        self._capacity = capacity
        self._rng = rng
        self._kept: list[Kept] = []
        self.seen = 0

    def add(self, element: Kept) -> None:
        """Shows it one element."""
        self.seen += 1
        if len(self._kept) < self._capacity:
            self._kept.append(element)
            return
        place = int(self._rng.integers(0, self.seen))
        if place < self._capacity:
            self._kept[place] = element

    def sample(self, count: int) -> list[Kept]:
        """Up to `count` different elements, drawn evenly."""
        count = min(count, len(self._kept))
        return [self._kept[int(place)] for place in self._rng.permutation(len(self._kept))[:count]]

    def __len__(self) -> int:
        return len(self._kept)
