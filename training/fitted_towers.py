"""Towers fitted to a training set outside the batch training: what user heads, the search and compression start from.

1. The newest tenth of the interactions is kept for validation; the rest warms the model up and trains it, for as many
   epochs as the validation loss falls.
2. By choice one more epoch, at a quarter of the rate, over everything.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch

from training.data.archive_set import TrainingSet
from training.loop import LoopConfig, LoopReport, Progress, Worker, train_towers
from training.model.fusion import FusionConfig, FusionTransformer
from training.tower_step import TowerStep
from training.validation import Validation
from training.warm_start import best_half_life, recent_counts, refresh_popularity, warm_start

VALIDATE_FROM = 0.9
LATER_RATE = 0.25


@dataclass(frozen=True)
class FittedTowers:
    """A model on the CPU, in evaluation mode; its validation loss (1 - NDCG@20, before step 2); what the loop did."""

    model: FusionTransformer
    validation_loss: float
    report: LoopReport


def validation_cut(training_set: TrainingSet) -> int:
    """Time (ms) that the newest tenth of the interactions begins at."""
    times = np.sort(np.concatenate([user.times_ms for user in training_set.users]))
    return int(times[int(len(times) * VALIDATE_FROM)])


def fit_towers(
    training_set: TrainingSet,
    config: FusionConfig,
    loop: LoopConfig,
    worker: Worker,
    progress: Progress,
    *,
    learn_all: bool = True,
) -> FittedTowers:
    """Fits the towers.

    Args:
        training_set: What may be known; nothing of a test is in it.
        config: Sizes of the model.
        loop: Epochs (at most), rate and limits.
        worker: This worker.
        progress: Called as the training goes on.
        learn_all: Whether step 2 follows.

    Raises:
        NotEnoughData: too few interactions.
    """
    torch.manual_seed(worker.seed)
    cut_ms = validation_cut(training_set)
    older = training_set.before(cut_ms)
    items = len(training_set.table.vocabulary)
    model = FusionTransformer(config)
    half_life_days = best_half_life(training_set.users, items, cut_ms)
    counts = recent_counts(older.users, items, cut_ms, half_life_days)
    warm_start(model, older.users, counts, worker.seed)
    validation = Validation(training_set, cut_ms)
    step = TowerStep(model.to(worker.device), training_set.table)
    report = train_towers(step, older.users, loop, worker, progress, lambda: validation.loss(model))  # 1
    loss = validation.loss(model)
    if learn_all:
        now = recent_counts(training_set.users, items, training_set.data_to_ms, half_life_days)
        refresh_popularity(model.cpu(), counts, now)
        short = replace(loop, epochs=1, learning_rate=loop.learning_rate * LATER_RATE)
        train_towers(
            TowerStep(model.to(worker.device), training_set.table), training_set.users, short, worker, progress
        )
    return FittedTowers(model.cpu().eval(), loss, report)  # 2
