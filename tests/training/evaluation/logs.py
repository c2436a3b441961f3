"""Small logs and test users for the evaluation's tests."""

from collections.abc import Collection, Sequence

import numpy as np

from contracts.ids import ItemId, UserId
from training.data.archive_set import TrainingSet
from training.data.sequences import UserSequence
from training.evaluation.protocol import TestUser
from training.model.content import ContentShape, ContentTable
from training.model.vocabulary import Vocabulary

DAY_MS = 86_400_000


def user(items: Sequence[int], times_ms: Sequence[int] | None = None, name: str = "u") -> UserSequence:
    touched = np.array(items, dtype=np.int64)
    fresh = np.zeros(len(touched), dtype=np.bool_)
    fresh[np.unique(touched, return_index=True)[1]] = True
    times = np.array(times_ms if times_ms is not None else range(len(items)), dtype=np.int64)
    return UserSequence(UserId(name), touched, np.zeros(len(touched), dtype=np.int64), times, fresh)


def ask(history: Sequence[int], targets: Collection[int]) -> TestUser:
    return TestUser(user(history), frozenset(targets), len(history))


def log_of(users: Sequence[UserSequence], items: int) -> TrainingSet:
    table = ContentTable(ContentShape(0, 0, items), Vocabulary(ItemId(f"i{place:03}") for place in range(items)))
    return TrainingSet(table, tuple(users), (), sum(map(len, users)))
