"""How much of one user and of one item a round may learn, so that no user and no crowd of bots steers it alone. Pure.

What a round leaves out for this is still in the archive: the next batch training learns it, with the whole shop's
traffic beside it. An item whose share of the traffic truly grows is let in faster as it grows.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from contracts.examples import TrainingExample
from contracts.ids import ItemId, UserId

MOST_WANTED_BY_USER = 8
MOST_LEFT_BY_USER = 64
"""Positives, and items left alone, that one user gives a round at most."""

LEAST_WANTED_OF_ITEM = 2
LEAST_LEFT_OF_ITEM = 8
"""What a round learns of an item at least, however rare it was until now."""

GROWTH = 1.25
"""How many times what its share of the remembered lets expect an item may have of a round, beyond those."""


class Shares(Protocol):
    """What is remembered of the traffic so far."""

    def share(self, item_id: ItemId, wanted: bool) -> float:
        """The item's share of the remembered positives, or of those left alone, from 0 to 1."""
        ...


class RoundCaps:
    """Counts of one round."""

    def __init__(self) -> None:
        self._of_user: Counter[tuple[UserId, bool]] = Counter()
        self._of_item: Counter[tuple[ItemId, bool]] = Counter()
        self._came: Counter[tuple[ItemId, bool]] = Counter()
        self._all: Counter[bool] = Counter()

    def admit(self, examples: Sequence[TrainingExample], shares: Shares) -> list[TrainingExample]:
        """The examples that the round may learn, in their order.

        Args:
            examples: New ones.
            shares: As of before this round's.
        """
        self._all.update(example.outcome is not None for example in examples)
        self._came.update((example.item_id, example.outcome is not None) for example in examples)
        return [example for example in examples if self._admits(example, shares)]

    def _admits(self, example: TrainingExample, shares: Shares) -> bool:
        wanted = example.outcome is not None
        of_user, of_item = (example.user_id, wanted), (example.item_id, wanted)
        least = LEAST_WANTED_OF_ITEM if wanted else LEAST_LEFT_OF_ITEM
        # Of the others alone: a flood must not widen its own share of the round.
        others = self._all[wanted] - self._came[of_item]
        share = shares.share(example.item_id, wanted)
        most = max(least, GROWTH * others * share / (1.0 - share) if share < 1.0 else 0.0)
        if self._of_user[of_user] >= (MOST_WANTED_BY_USER if wanted else MOST_LEFT_BY_USER):
            return False
        if self._of_item[of_item] >= most:
            return False
        self._of_user[of_user] += 1
        self._of_item[of_item] += 1
        return True
