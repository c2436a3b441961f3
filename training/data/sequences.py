"""User sequences: all interactions of a user in time order, as integer arrays, and their cut into training windows.

A window holds up to `HISTORY_LENGTH` interactions and what came after each of them.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.events import EventKind
from contracts.features import HISTORY_LENGTH
from contracts.ids import ExampleId, ItemId, UserId
from training.model.vocabulary import Vocabulary, kind_row

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class ExampleRow:
    """What batch training reads of a training example; histories come from the sequences, not from the row."""

    example_id: ExampleId
    user_id: UserId
    item_id: ItemId
    at_ms: int
    outcome: EventKind | None


@dataclass(frozen=True)
class UserSequence:
    """Interactions of one user, oldest first: item indices, kind rows and times (ms), each of shape (L,).

    `fresh` (L,) bool says where the user touched the item for the first time: what the towers learn to predict.
    """

    user_id: UserId
    items: Integers
    kinds: Integers
    times_ms: Integers
    fresh: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.items)

    def before(self, at_ms: int) -> "UserSequence":
        """The interactions before a time."""
        end = int(np.searchsorted(self.times_ms, at_ms, side="left"))
        return self.part(0, end)

    def part(self, start: int, end: int) -> "UserSequence":
        """The interactions from `start` to before `end`."""
        cut = slice(start, end)
        return UserSequence(self.user_id, self.items[cut], self.kinds[cut], self.times_ms[cut], self.fresh[cut])


def sequences(examples: Iterable[ExampleRow], vocabulary: Vocabulary) -> list[UserSequence]:
    """The positives of each user in time order; items that the vocabulary lacks are left out.

    An example that stands twice in the archive (at-least-once) counts once. Users come by id, so that a seed gives the
    same training.
    """
    seen: set[str] = set()
    rows: dict[UserId, list[tuple[int, str, int, int]]] = defaultdict(list)
    for example in examples:
        index = vocabulary.index(example.item_id)
        if example.outcome is None or index is None or example.example_id in seen:
            continue
        seen.add(example.example_id)
        rows[example.user_id].append((example.at_ms, example.example_id, index, kind_row(example.outcome)))
    return [_sequence(user_id, sorted(rows[user_id])) for user_id in sorted(rows)]


def windows(users: Iterable[UserSequence], rng: np.random.Generator) -> Iterator[UserSequence]:
    """Cuts each user into windows of `HISTORY_LENGTH` + 1 interactions with a random first cut."""
    for user in users:
        if len(user) <= HISTORY_LENGTH + 1:
            yield user
            continue
        first = int(rng.integers(2, HISTORY_LENGTH + 1))
        starts = [0, *range(first, len(user), HISTORY_LENGTH)]
        for start, end in zip(starts, [*starts[1:], len(user)], strict=True):
            low = max(0, end - HISTORY_LENGTH - 1) if end - start < HISTORY_LENGTH else start
            yield user.part(low, end)


def item_counts(users: Iterable[UserSequence], items: int) -> NDArray[np.float64]:
    """How often each item was interacted with; shape (N,)."""
    counts = np.zeros(items, dtype=np.float64)
    for user in users:
        np.add.at(counts, user.items, 1.0)
    return counts


def item_shares(users: Iterable[UserSequence], items: int) -> NDArray[np.float32]:
    """The share of each item among all interactions; shape (N,), zeros where there are none."""
    counts = item_counts(users, items)
    shares: NDArray[np.float32] = (counts / max(counts.sum(), 1.0)).astype(np.float32)
    return shares


def as_items(user: UserSequence, vocabulary: Vocabulary) -> tuple[ItemId, ...]:
    """The sequence's item ids."""
    return tuple(vocabulary.ids[index] for index in user.items)


def _sequence(user_id: UserId, rows: list[tuple[int, str, int, int]]) -> UserSequence:
    columns = list(zip(*rows, strict=True))
    items = np.array(columns[2], dtype=np.int64)
    fresh = np.zeros(len(items), dtype=np.bool_)
    fresh[np.unique(items, return_index=True)[1]] = True
    return UserSequence(
        user_id,
        items=items,
        kinds=np.array(columns[3], dtype=np.int64),
        times_ms=np.array(columns[0], dtype=np.int64),
        fresh=fresh,
    )
