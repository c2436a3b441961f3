"""The batch training of one version, as the stages that it is made of; it runs alike alone and as one of many workers.

1. The towers learn the oldest 80 % of the interactions, for as many epochs as the loss on the next 10 % falls.
2. The heads learn those next 10 % of two thirds of the users, which the towers have not seen; the share of co-visits
   and how far the heads' correction is trusted are chosen on the other third.
3. The towers learn them too: one epoch at a quarter of the rate, and popularity moves on.
4. The model is evaluated on the newest 10 %, which nothing has seen.
5. As 3, with everything: the weights that are published.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from numpy.typing import NDArray

from training.calibration import calibrate_heads, calibrate_neighbours, calibrate_scale, calibrated_loss
from training.data.archive_set import TrainingSet
from training.data.feature_join import FeatureJoin, FeatureRows, Wanted, joined
from training.data.head_rows import Moment, candidates_of, head_rows, history_of, moments, wanted_rows
from training.data.sequences import UserSequence, item_shares
from training.evaluation.archive import compare, mean_ndcg, split_users
from training.evaluation.protocol import TestUser
from training.evaluation.report import Evaluation
from training.head_training import encode_users, train_heads
from training.loop import LoopReport, Progress
from training.model.checkpoint import Checkpoint
from training.model.features import ItemFacts
from training.model.fusion import FusionTransformer
from training.run_log import Scalar
from training.snapshot import Snapshot
from training.tower_stages import Plan, TowerSources, TowerStages
from training.validation import Validation
from training.warm_start import best_half_life, recent_counts, refresh_popularity, warm_start

HEADS_FROM = 0.8
EVALUATE_FROM = 0.9


@dataclass(frozen=True)
class Fitted:
    """What a batch training gives."""

    model: FusionTransformer
    evaluation: Evaluation
    towers: LoopReport


def fit(
    training_set: TrainingSet, join: FeatureJoin, plan: Plan, progress: Progress, sources: TowerSources | None = None
) -> Fitted:
    """Trains and evaluates a model, alone or as the first of several workers; the others run `tower_stages.follow`.

    Args:
        training_set: All examples.
        join: The point-in-time join of features.
        plan: Recipe and workers.
        progress: Called with the stage and the share of the training that is done.
        sources: What deals out the towers' batches of `parts`, to each of several workers its own; None where one
            worker holds all of them.

    Raises:
        NotEnoughData: too few interactions in one of the stages.
    """
    torch.manual_seed(plan.worker.seed)
    rng = np.random.default_rng(plan.worker.seed)
    heads_ms, evaluate_ms = cut_times(training_set)
    older, middle, _ = parts(training_set)
    test_users = split_users(training_set, evaluate_ms)
    progress("features", 0.0)
    lessons, tested = _with_features(training_set, test_users, (heads_ms, evaluate_ms), join, rng)
    items = len(training_set.table.vocabulary)
    model = FusionTransformer(plan.recipe.model(training_set.table.shape))
    half_life_days = best_half_life(middle.users, items, heads_ms)
    cuts = ((older, heads_ms), (middle, evaluate_ms), (training_set, training_set.data_to_ms))
    counts = [recent_counts(part.users, items, at_ms, half_life_days) for part, at_ms in cuts]
    warm_start(model, training_set.table, older.users, counts[0], plan.worker.seed)

    def shares(part: TrainingSet) -> torch.Tensor:
        return torch.from_numpy(item_shares(part.users, items))

    stages = TowerStages(model, training_set.table, plan)
    sources = sources or TowerSources(older.users, middle.users, training_set.users)
    validation, epochs = Validation(middle, heads_ms), count()

    def validated() -> float:
        loss = calibrated_loss(model, validation)
        plan.log.scalar(Scalar.VALIDATION_LOSS, loss, next(epochs))
        return loss

    def observe(at: int, loss: float) -> None:
        plan.log.scalar(Scalar.LOSS, loss, at)

    told = _part(progress, "towers: ", 0.0, 0.6)
    towers = stages.first(sources.oldest, told, validated, observe, shares(older))  # 1

    calibrate_scale(model.cpu(), validation)
    progress("heads", 0.6)
    _fit_heads(model, training_set, lessons, rng)  # 2

    refresh_popularity(model, training_set.table, counts[0], counts[1])
    stages.later(sources.newer, _part(progress, "newer interactions: ", 0.7, 0.8), shares(middle))  # 3

    progress("evaluation", 0.8)
    scorers = rankers(Snapshot.of(model.cpu(), training_set.table), tested)
    evaluation = compare(training_set, evaluate_ms, test_users, scorers, plan.worker.seed, towers.losses)  # 4

    refresh_popularity(model, training_set.table, counts[1], counts[2])
    stages.later(sources.every, _part(progress, "all interactions: ", 0.85, 1.0), shares(training_set))  # 5
    model.cpu().eval()
    return Fitted(model, evaluation, towers)


def checkpoint_of(model: FusionTransformer, training_set: TrainingSet) -> Checkpoint:
    """The fitted model with its item matrix, as a version's directory holds it."""
    table = training_set.table
    facts = tuple(ItemFacts.of(table.item(item_id)) for item_id in table.vocabulary)
    return Checkpoint(model, table.vocabulary, facts, Snapshot.of(model, table).vectors.numpy(), table.ids)


def cut_times(training_set: TrainingSet) -> tuple[int, int]:
    """Times (ms) that the heads and the evaluation begin at: quantiles of the interactions."""
    times = np.sort(np.concatenate([user.times_ms for user in training_set.users]))
    return int(times[int(len(times) * HEADS_FROM)]), int(times[int(len(times) * EVALUATE_FROM)])


def parts(training_set: TrainingSet) -> tuple[TrainingSet, TrainingSet, TrainingSet]:
    """What the towers learn in stages 1, 3 and 5, the oldest interactions in all of them."""
    heads_ms, evaluate_ms = cut_times(training_set)
    return training_set.before(heads_ms), training_set.before(evaluate_ms), training_set


@dataclass(frozen=True)
class Asked:
    """Users asked for a ranking of all items at one time, with the feature rows as of just before it."""

    training_set: TrainingSet
    users: list[TestUser]
    at_ms: int
    rows: FeatureRows


def wanted_at(training_set: TrainingSet, users: list[TestUser], at_ms: int) -> Wanted:
    """The rows that `Asked` has: of the users and of all items."""
    return Wanted(
        tuple((user.history.user_id, at_ms) for user in users),
        tuple((item_id, at_ms) for item_id in training_set.table.vocabulary.ids),
    )


def rankers(snapshot: Snapshot, asked: Asked) -> dict[str, Callable[[UserSequence], NDArray[np.float32]]]:
    """The model's scorers (N,): "model" as it is served (heads over all items), "retrieval" by the towers alone."""
    moments_of_users = [Moment(user.history, asked.at_ms, (), ()) for user in asked.users]
    vectors = encode_users(snapshot.model, snapshot.vectors, moments_of_users).numpy()
    places = {user.history.user_id: place for place, user in enumerate(asked.users)}
    items = range(len(asked.training_set.table.vocabulary))
    ranker = snapshot.ranker(candidates_of(asked.training_set, items, asked.rows.items), asked.at_ms)

    def served(user: UserSequence) -> NDArray[np.float32]:
        place = places[user.user_id]
        return ranker.scores(vectors[place], history_of(asked.training_set, user), asked.rows.users[place])

    def retrieved(user: UserSequence) -> NDArray[np.float32]:
        return ranker.match(vectors[places[user.user_id]])

    return {"model": served, "retrieval": retrieved}


@dataclass(frozen=True)
class _Lessons:
    """What the heads learn, and the users whom their corrections are judged by: None where there are none."""

    learned: list[Moment]
    rows: FeatureRows
    judged: Asked | None


def _with_features(
    training_set: TrainingSet,
    test_users: list[TestUser],
    slice_ms: tuple[int, int],
    join: FeatureJoin,
    rng: np.random.Generator,
) -> tuple[_Lessons, Asked]:
    """What stages 2 and 4 need of the features, by one join."""
    since_ms, until_ms = slice_ms
    judges = {user.user_id for user in training_set.users[::3]}
    users = [
        user for user in split_users(training_set.before(until_ms), since_ms, least=0) if user.history.user_id in judges
    ]
    learned = [each for each in moments(training_set, since_ms, until_ms, rng) if each.user.user_id not in judges]
    rows, judged_rows, tested_rows = joined(
        join,
        [
            wanted_rows(training_set, learned),
            wanted_at(training_set, users, since_ms) if users else Wanted(),
            wanted_at(training_set, test_users, until_ms),
        ],
    )
    judged = Asked(training_set, users, since_ms, judged_rows) if users else None
    return _Lessons(learned, rows, judged), Asked(training_set, test_users, until_ms, tested_rows)


def _fit_heads(
    model: FusionTransformer, training_set: TrainingSet, lessons: _Lessons, rng: np.random.Generator
) -> None:
    snapshot = Snapshot.of(model, training_set.table)

    def judged() -> float:
        asked = lessons.judged
        return mean_ndcg(rankers(snapshot, asked)["model"], asked.users) if asked else 0.0

    calibrate_neighbours(model, judged)  # the heads still correct nothing
    rows = head_rows(training_set, lessons.learned, lessons.rows)
    train_heads(model, snapshot.vectors, snapshot.ids, rows, int(rng.integers(2**31)))
    if lessons.judged:
        calibrate_heads(model.heads, judged)


def _part(progress: Progress, prefix: str, start: float, end: float) -> Progress:
    return lambda what, share: progress(prefix + what, start + (end - start) * share)
