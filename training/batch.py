"""The batch training of one version, as the stages that it is made of; it runs alike alone and as one of many workers.

1. The towers learn the oldest 80 % of the interactions.
2. The heads learn the next 10 %, which the towers have not seen.
3. The model is evaluated on the newest 10 %, which neither has seen.
4. The towers learn everything, for a quarter as long, at a quarter of the rate.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from contracts.clock import from_ms
from contracts.features import ITEM_FEATURES, USER_FEATURES, ItemFeatures, UserFeatures
from contracts.ids import ItemId
from training.data.archive_set import TrainingSet
from training.data.head_rows import FeatureJoin, Moment, candidates_of, feature_rows, head_rows, history_of, moments
from training.data.sequences import UserSequence
from training.evaluation import Evaluation, TestUser, compare, split_users
from training.head_training import encode_users, train_heads
from training.loop import LoopConfig, LoopReport, Progress, Worker, train_towers
from training.model.checkpoint import Checkpoint
from training.model.features import ItemFacts
from training.model.fusion import FusionConfig, FusionTransformer
from training.snapshot import Snapshot
from training.tower_step import TowerStep
from training.warm_start import warm_start

HEADS_FROM = 0.8
EVALUATE_FROM = 0.9
LAST_STAGE_SHARE = 0.25
"""Epochs and learning rate of stage 4, as a share of those of stage 1."""

Wrap = Callable[[TowerStep], torch.nn.Module]


@dataclass(frozen=True)
class Fitted:
    """What a batch training gives."""

    model: FusionTransformer
    evaluation: Evaluation
    towers: LoopReport


@dataclass(frozen=True)
class Plan:
    """How to train: sizes, loop, this worker, and how the towers' step is wrapped for several of them."""

    width: int
    loop: LoopConfig
    worker: Worker
    wrap: Wrap


def fit(training_set: TrainingSet, join: FeatureJoin, plan: Plan, progress: Progress) -> Fitted:
    """Trains and evaluates a model.

    Args:
        training_set: All examples, the same for every worker.
        join: The point-in-time join of features.
        plan: Sizes and workers.
        progress: Called with the stage and the share of the training that is done.

    Raises:
        NotEnoughData: too few interactions in one of the stages.
    """
    torch.manual_seed(plan.worker.seed)
    rng = np.random.default_rng(plan.worker.seed)
    heads_ms, evaluate_ms = cut_times(training_set)
    older = training_set.before(heads_ms)
    test_users = split_users(training_set, evaluate_ms)
    items = len(training_set.table.vocabulary)
    model = FusionTransformer(FusionConfig(training_set.table.shape, plan.width))
    warm_start(model, older.users, items, heads_ms, plan.worker.seed)
    step = TowerStep(model.to(plan.worker.device), training_set.table)
    wrapped = plan.wrap(step)
    towers = train_towers(wrapped, older.users, plan.loop, plan.worker, _part(progress, "towers: ", 0.0, 0.7))  # 1

    model.cpu().eval()
    progress("heads", 0.7)
    snapshot = Snapshot.of(model, training_set.table)
    rows = head_rows(training_set, moments(training_set, heads_ms, evaluate_ms, rng), join)
    train_heads(model, snapshot.vectors, snapshot.ids, rows, plan.worker.seed)  # 2

    progress("evaluation", 0.8)
    scorers = rankers(training_set, snapshot, test_users, evaluate_ms, join)
    evaluation = compare(training_set, evaluate_ms, test_users, scorers, plan.worker.seed)  # 3

    model.to(plan.worker.device)
    last = replace(
        plan.loop,
        epochs=max(1, round(plan.loop.epochs * LAST_STAGE_SHARE)),
        learning_rate=plan.loop.learning_rate * LAST_STAGE_SHARE,
        seconds_limit=plan.loop.seconds_limit * LAST_STAGE_SHARE,
    )
    train_towers(wrapped, training_set.users, last, plan.worker, _part(progress, "all interactions: ", 0.85, 1.0))  # 4
    model.cpu().eval()
    return Fitted(model, evaluation, towers)


def checkpoint_of(model: FusionTransformer, training_set: TrainingSet) -> Checkpoint:
    """The fitted model with its item matrix, as a version's directory holds it."""
    table = training_set.table
    facts = tuple(ItemFacts.of(table.item(item_id)) for item_id in table.vocabulary)
    return Checkpoint(model, table.vocabulary, facts, Snapshot.of(model, table).vectors.numpy())


def cut_times(training_set: TrainingSet) -> tuple[int, int]:
    """Times (ms) that the heads and the evaluation begin at: quantiles of the interactions."""
    times = np.sort(np.concatenate([user.times_ms for user in training_set.users]))
    return int(times[int(len(times) * HEADS_FROM)]), int(times[int(len(times) * EVALUATE_FROM)])


def rankers(
    training_set: TrainingSet, snapshot: Snapshot, users: list[TestUser], at_ms: int, join: FeatureJoin
) -> dict[str, Callable[[UserSequence], NDArray[np.float32]]]:
    """The model's scorers (N,): "model" as it is served (heads over all items), "retrieval" by the towers alone."""
    ids: list[ItemId] = list(training_set.table.vocabulary.ids)
    asked = [Moment(user.history, at_ms, (), ()) for user in users]
    vectors = encode_users(snapshot.model, snapshot.vectors, asked).numpy()
    places = {user.history.user_id: place for place, user in enumerate(users)}
    user_rows, item_rows = _rows_at(training_set, users, at_ms, join)
    candidates = candidates_of(training_set, range(len(ids)), item_rows)
    ranker = snapshot.ranker(candidates, at_ms)

    def served(user: UserSequence) -> NDArray[np.float32]:
        place = places[user.user_id]
        return ranker.scores(vectors[place], history_of(training_set, user), user_rows[place])

    def retrieved(user: UserSequence) -> NDArray[np.float32]:
        return ranker.match(vectors[places[user.user_id]])

    return {"model": served, "retrieval": retrieved}


def _rows_at(
    training_set: TrainingSet, users: list[TestUser], at_ms: int, join: FeatureJoin
) -> tuple[list[UserFeatures | None], list[ItemFeatures | None]]:
    """The feature rows of the users and of all items as of just before a time, by one join."""
    ids = training_set.table.vocabulary.ids
    count = max(len(users), len(ids))
    joined = join(
        pd.DataFrame(
            {
                "user_id": [users[place % len(users)].history.user_id for place in range(count)],
                "item_id": [ids[place % len(ids)] for place in range(count)],
                "event_timestamp": pd.to_datetime([from_ms(at_ms - 1)] * count, utc=True),
            }
        )
    )
    return (
        feature_rows(joined.iloc[: len(users)], "user_features", UserFeatures, [f.name for f in USER_FEATURES]),
        feature_rows(joined.iloc[: len(ids)], "item_features", ItemFeatures, [f.name for f in ITEM_FEATURES]),
    )


def _part(progress: Progress, prefix: str, start: float, end: float) -> Progress:
    return lambda what, share: progress(prefix + what, start + (end - start) * share)
