"""Rows for the ranking heads: each outcome beside items drawn at random, with the features as they stood just before.

The heads learn from interactions that the towers have not learned, so that they see retrieval logits as honest as those
of serving (stacking by time). R rows, F features.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.clock import from_ms
from contracts.events import EventKind
from contracts.features import HISTORY_LENGTH, ITEM_FEATURES, USER_FEATURES, ItemFeatures, UserFeatures
from contracts.ids import ItemId
from training.data.archive_set import TrainingSet
from training.data.sequences import UserSequence, as_items
from training.model.features import HEAD_FEATURES, Candidates, ItemFacts, head_features
from training.model.history import History
from training.model.vocabulary import KINDS, kind_row

FeatureJoin = Callable[[pd.DataFrame], pd.DataFrame]
"""The point-in-time join: entity rows (user_id, item_id, event_timestamp) with the feature columns added."""

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


def head_rows(training_set: TrainingSet, chosen: Sequence[Moment], join: FeatureJoin) -> HeadRows:
    """Joins the features as of just before each moment and computes the head's vectors."""
    owner = np.repeat(np.arange(len(chosen)), [len(moment.candidates) for moment in chosen])
    items = np.array([index for moment in chosen for index in moment.candidates], dtype=np.int64)
    ids = training_set.table.vocabulary.ids
    joined = join(
        pd.DataFrame(
            {
                "user_id": [chosen[place].user.user_id for place in owner.tolist()],
                "item_id": [ids[index] for index in items],
                # A row of features bears the time of its newest event: one millisecond before leaves the outcome out.
                "event_timestamp": pd.to_datetime(
                    [from_ms(chosen[place].at_ms - 1) for place in owner.tolist()], utc=True
                ),
            }
        )
    )
    item_rows = feature_rows(joined, "item_features", ItemFeatures, [feature.name for feature in ITEM_FEATURES])
    firsts = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]]) if len(owner) else owner
    names = [feature.name for feature in USER_FEATURES]
    user_rows = feature_rows(joined.iloc[firsts], "user_features", UserFeatures, names)
    blocks = []
    for moment, user_row, start in zip(chosen, user_rows, firsts.tolist(), strict=True):
        end = start + len(moment.candidates)
        candidates = candidates_of(training_set, moment.candidates, item_rows[start:end])
        blocks.append(head_features(history_of(training_set, moment.user), user_row, candidates, moment.at_ms))
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


def feature_rows(joined: pd.DataFrame, view: str, row_type: Any, names: Sequence[str]) -> list[Any]:
    """Typed rows of one view's columns; None where the join found no row (its `last_event_ms` is the default)."""
    columns = {name: joined[f"{view}__{name}"].tolist() for name in names}
    return [
        row_type.from_values({name: _plain(column[place]) for name, column in columns.items()})
        if columns["last_event_ms"][place]
        else None
        for place in range(len(joined))
    ]


def _drawn(outcomes: list[Outcome], most: int, rng: np.random.Generator) -> list[Outcome]:
    return [outcomes[choice] for choice in rng.permutation(len(outcomes))[:most].tolist()]


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def _bought_before(user: UserSequence, place: int) -> bool:
    before = slice(0, place)
    return bool(((user.items[before] == user.items[place]) & (user.kinds[before] == _PURCHASE)).any())
