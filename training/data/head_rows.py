"""Rows for the ranking heads: each outcome beside items drawn at random, with the features as they stood just before.

The heads learn from interactions that the towers have not learned, so that they see retrieval logits as honest as those
of serving (stacking by time). R rows, F features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.events import EventKind
from contracts.features import HISTORY_LENGTH, ItemFeatures
from contracts.ids import ItemId
from training.data.archive_set import TrainingSet
from training.data.feature_join import FeatureRows, Wanted
from training.data.sequences import UserSequence, as_items
from training.model.features import HEAD_FEATURES, Candidates, ItemFacts, head_features
from training.model.history import History
from training.model.vocabulary import KINDS, kind_row

HEAD_POSITIVES = 3000
"""First touches that the heads are trained on, at most; later touches of the same item are a fourth as many."""

NEGATIVES = 6
"""Items drawn uniformly from the catalogue beside each outcome; uniform, so that popularity stays a signal."""

Outcome = tuple[UserSequence, int]

_CARTS = {kind_row(EventKind.ADD_TO_CART), kind_row(EventKind.PURCHASE)}
_PURCHASE = kind_row(EventKind.PURCHASE)


@dataclass(frozen=True)
class Moment:
    """A user at a time: the history before it, and candidates with labels (3,) each by `heads.Head`."""

    user: UserSequence
    at_ms: int
    candidates: tuple[int, ...]
    labels: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class HeadRows:
    """What the heads train on.

    Attributes:
        moments: One a user and time; `owner` points into it.
        owner: (R,) int64 moment of each row.
        items: (R,) int64 item index of each row.
        labels: (R, 3) float32 by `heads.Head`.
        features: (R, F) float32.
    """

    moments: tuple[Moment, ...]
    owner: NDArray[np.int64]
    items: NDArray[np.int64]
    labels: NDArray[np.float32]
    features: NDArray[np.float32]


def moments(training_set: TrainingSet, since_ms: int, until_ms: int, rng: np.random.Generator) -> list[Moment]:
    """Outcomes from `since_ms` to before `until_ms` with random negatives, and the impressions left alone in that time.

    Outcomes of items bought before are left out: the gateway does not show them again.
    """
    users = {user.user_id: user for user in training_set.users}
    outcomes = [
        (user, place)
        for user in training_set.users
        for place in range(*np.searchsorted(user.times_ms, [since_ms, until_ms]).tolist())
        if not _bought_before(user, place)
    ]
    fresh = [outcome for outcome in outcomes if outcome[0].fresh[outcome[1]]]
    again = [outcome for outcome in outcomes if not outcome[0].fresh[outcome[1]]]
    outcomes = [*_drawn(fresh, HEAD_POSITIVES, rng), *_drawn(again, len(fresh) // 4, rng)]
    made = []
    for user, place in outcomes:
        item, kind, at_ms = int(user.items[place]), int(user.kinds[place]), int(user.times_ms[place])
        drawn = [
            index for index in rng.integers(0, len(training_set.table.vocabulary), NEGATIVES).tolist() if index != item
        ]
        labels = ((1.0, float(kind in _CARTS), float(kind == _PURCHASE)), *((0.0, 0.0, 0.0) for _ in drawn))
        made.append(Moment(user.before(at_ms), at_ms, (item, *drawn), labels))
    shown = [row for row in training_set.shown if since_ms <= row.at_ms < until_ms and row.user_id in users]
    for row in shown[-HEAD_POSITIVES:]:
        index = training_set.table.vocabulary.admit(row.item_id)
        made.append(Moment(users[row.user_id].before(row.at_ms), row.at_ms, (index,), ((0.0, 0.0, 0.0),)))
    return made


def wanted_rows(training_set: TrainingSet, chosen: Sequence[Moment]) -> Wanted:
    """The feature rows that `head_rows` needs: of each moment's user, and of each of its candidates."""
    ids = training_set.table.vocabulary.ids
    return Wanted(
        tuple((moment.user.user_id, moment.at_ms) for moment in chosen),
        tuple((ids[index], moment.at_ms) for moment in chosen for index in moment.candidates),
    )


def head_rows(training_set: TrainingSet, chosen: Sequence[Moment], rows: FeatureRows) -> HeadRows:
    """Computes the head's vectors.

    Args:
        training_set: Where the moments are from.
        chosen: R candidates in all.
        rows: Those of `wanted_rows`.
    """
    owner = np.repeat(np.arange(len(chosen)), [len(moment.candidates) for moment in chosen])
    items = np.array([index for moment in chosen for index in moment.candidates], dtype=np.int64)
    blocks, start = [], 0
    for moment, user_row in zip(chosen, rows.users, strict=True):
        end = start + len(moment.candidates)
        candidates = candidates_of(training_set, moment.candidates, rows.items[start:end])
        blocks.append(head_features(history_of(training_set, moment.user), user_row, candidates, moment.at_ms))
        start = end
    return HeadRows(
        tuple(chosen),
        owner,
        items,
        np.array([label for moment in chosen for label in moment.labels], dtype=np.float32).reshape(-1, 3),
        np.concatenate(blocks) if blocks else np.zeros((0, len(HEAD_FEATURES)), dtype=np.float32),
    )


def candidates_of(training_set: TrainingSet, indices: Sequence[int], rows: Sequence[ItemFeatures | None]) -> Candidates:
    """Candidates with their facts from the catalogue."""
    table = training_set.table
    ids: list[ItemId] = [table.vocabulary.ids[index] for index in indices]
    return Candidates(ids, [ItemFacts.of(table.item(item_id)) for item_id in ids], rows)


def history_of(training_set: TrainingSet, user: UserSequence) -> History:
    """The newest interactions of a sequence as the model's history."""
    newest = user.part(max(0, len(user) - HISTORY_LENGTH), len(user))
    kinds = tuple(KINDS[row] if row < len(KINDS) else EventKind.VIEW for row in newest.kinds.tolist())
    return History(as_items(newest, training_set.table.vocabulary), kinds, tuple(newest.times_ms.tolist()))


def _drawn(outcomes: list[Outcome], most: int, rng: np.random.Generator) -> list[Outcome]:
    return [outcomes[choice] for choice in rng.permutation(len(outcomes))[:most].tolist()]


def _bought_before(user: UserSequence, place: int) -> bool:
    before = slice(0, place)
    return bool(((user.items[before] == user.items[place]) & (user.kinds[before] == _PURCHASE)).any())
