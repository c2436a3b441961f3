"""A uniform sample of everything learned so far, so that small steps on new examples do not forget the old ones.

It also tells how much of the traffic each item had until now.
"""

from collections import Counter
from typing import Generic, TypeVar

import numpy as np

from contracts.examples import TrainingExample
from contracts.ids import ItemId

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

    def add(self, element: Kept) -> Kept | None:
        """Shows it one element; gives the one that is not kept for it, which may be itself."""
        self.seen += 1
        if len(self._kept) < self._capacity:
            self._kept.append(element)
            return None
        place = int(self._rng.integers(0, self.seen))
        if place >= self._capacity:
            return element
        left, self._kept[place] = self._kept[place], element
        return left

    def sample(self, count: int) -> list[Kept]:
        """Up to `count` different elements, drawn evenly."""
        count = min(count, len(self._kept))
        return [self._kept[int(place)] for place in self._rng.permutation(len(self._kept))[:count]]

    def __len__(self) -> int:
        return len(self._kept)


LEAST_REMEMBERED = 500
"""Shares are of so many examples at least: of a handful each would be large."""


class ExampleReservoir(Reservoir[TrainingExample]):
    """A reservoir of examples that knows each item's share of them.

    Args:
        capacity: The most that it keeps.
        rng: Source of the draws.
    """

    def __init__(self, capacity: int, rng: np.random.Generator) -> None:
        super().__init__(capacity, rng)
        self._of_item: Counter[tuple[ItemId, bool]] = Counter()
        self._all: Counter[bool] = Counter()

    def add(self, element: TrainingExample) -> TrainingExample | None:
        """As `Reservoir.add`."""
        left = super().add(element)
        for example, step in ((element, 1), (left, -1)):
            if example is not None:
                wanted = example.outcome is not None
                self._of_item[example.item_id, wanted] += step
                self._all[wanted] += step
                if not self._of_item[example.item_id, wanted]:
                    del self._of_item[example.item_id, wanted]
        return left

    def share(self, item_id: ItemId, wanted: bool) -> float:
        """The item's share of the positives, or of those left alone, from 0 to 1."""
        return self._of_item[item_id, wanted] / max(LEAST_REMEMBERED, self._all[wanted])
