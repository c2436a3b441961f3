"""The archive's evaluation: one cut in time, the served model and its retrieval beside the baselines.

The targets of a user are the items that the user touches after the cut and had not touched before it; items touched
before are left out of every ranking, the model's and the baselines' alike. U users, N items.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from contracts.clock import from_ms
from contracts.errors import NotEnoughData
from training.data.archive_set import TrainingSet
from training.data.sequences import UserSequence, item_counts
from training.evaluation import compare as comparison
from training.evaluation.baselines.als import Als
from training.evaluation.baselines.co_visits import CoVisits, PopularCoVisits
from training.evaluation.baselines.popularity import Popularity
from training.evaluation.baselines.ranker import Baseline, block_scorer
from training.evaluation.metrics import ndcg
from training.evaluation.protocol import LEAST_USERS, TestUser, users_after
from training.evaluation.ranking import BlockScorer, rank_targets
from training.evaluation.report import Evaluation
from training.evaluation.slices import slice_flags

Scorer = Callable[[UserSequence], NDArray[np.float32]]
"""A history to scores (N,) of all items."""

LOGITS = frozenset(("retrieval",))
"""Rankers whose scores are logits of a softmax over the items."""


def split_users(training_set: TrainingSet, cut_ms: int, least: int = LEAST_USERS) -> list[TestUser]:
    """The users to test on.

    Raises:
        NotEnoughData: fewer than `least` users touch anything new after the cut.
    """
    users = users_after(training_set, cut_ms)
    if len(users) < least:
        raise NotEnoughData(
            f"found {len(users)} users with interactions before {from_ms(cut_ms).isoformat()} and new items after it; "
            f"expected at least {least}; collect events for longer"
        )
    return users


def compare(
    training_set: TrainingSet,
    cut_ms: int,
    users: Sequence[TestUser],
    rankers: Mapping[str, Scorer],
    seed: int,
    losses: Sequence[float] = (),
) -> Evaluation:
    """Ranks all items for each user by the model (`rankers`, one of them "model") and by the baselines.

    Args:
        training_set: All interactions; baselines count those before the cut, with their first settings.
        cut_ms: The cut, ms since the epoch.
        users: From `split_users`.
        rankers: Scorers by name; "model" is the one that the baselines are held against.
        seed: Of the bootstrap.
        losses: Training loss of each epoch, for the curve.
    """
    items = len(training_set.table.vocabulary)
    before = training_set.before(cut_ms).users
    recent, co_visits = Popularity(before, items, cut_ms, days=7), CoVisits(before, items, cut_ms)
    baselines: tuple[Baseline, ...] = (
        Popularity(before, items, cut_ms),
        recent,
        co_visits,
        PopularCoVisits(recent, co_visits),
        Als(before, items),
    )
    scorers = {name: one_by_one(scorer) for name, scorer in rankers.items()}
    scorers |= {baseline.name: block_scorer(baseline) for baseline in baselines}
    rankings = {
        name: [rank_targets(scorer, users, without_history=True, logits=name in LOGITS)]
        for name, scorer in scorers.items()
    }
    counts = item_counts(before, items)
    tested = comparison.Tested(rankings, {}, slice_flags(users, counts, training_set.table), counts)
    curve = {"training loss": tuple(losses)} if losses else None
    described = comparison.Described(
        f"time split at {from_ms(cut_ms).isoformat()}", True, frozenset(rankers), curve=curve
    )
    return comparison.compare([tested], described, seed)


def mean_ndcg(scorer: Scorer, users: Sequence[TestUser]) -> float:
    """Mean NDCG@10 of one ranker."""
    return float(ndcg(rank_targets(one_by_one(scorer), users, without_history=True), 10).mean())


def one_by_one(scorer: Scorer) -> BlockScorer:
    """A scorer of one user as one of blocks."""

    def scores(users: Sequence[TestUser]) -> NDArray[np.float32]:
        return np.stack([scorer(user.history) for user in users])

    return scores
