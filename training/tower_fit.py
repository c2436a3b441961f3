"""The towers fitted to one split: settings on its validation users, then everything that may be learned.

1. The towers learn the training part, for as many epochs as the loss on the validation users falls.
2. Where the validation interactions may be learned too, new towers learn them all for as many epochs.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from training.data.archive_set import TrainingSet
from training.data.head_rows import Moment
from training.evaluation.metrics import ndcg
from training.evaluation.protocol import TestUser
from training.evaluation.ranking import BlockScorer, rank_targets
from training.head_training import encode_users
from training.loop import LoopConfig, Progress, Worker, train_towers
from training.model.content import ContentTable
from training.model.fusion import FusionConfig, FusionTransformer
from training.snapshot import Snapshot
from training.tower_step import TowerStep
from training.warm_start import recent_counts, warm_start

MOST_VALIDATION_USERS = 2000
HALF_LIFE_DAYS = 30.0


@dataclass(frozen=True)
class FitPlan:
    """How to fit.

    Attributes:
        width: D.
        loop: Epochs (at most) and rates.
        worker: Its seed, and where it computes.
        without_history: As `Split`.
        newer: What is learned in step 2; None for no step 2.
        observe: Called after each epoch of step 1 with its validation figure, the NDCG@10.
    """

    width: int
    loop: LoopConfig
    worker: Worker
    without_history: bool = True
    newer: TrainingSet | None = None
    observe: Callable[[float], None] = lambda ndcg_at_10: None


def fit_towers(
    training_set: TrainingSet, validation: Sequence[TestUser], plan: FitPlan, progress: Progress
) -> FusionTransformer:
    """Fits the towers.

    Args:
        training_set: What may be learned while settings are chosen.
        validation: Users that they are chosen on, by NDCG@10.
        plan: Sizes, loop and worker.
        progress: Called as the training goes on.

    Returns:
        The model on the CPU, in evaluation mode.
    """
    chosen_on = validation[:: max(1, len(validation) // MOST_VALIDATION_USERS)]

    def loss(model: FusionTransformer) -> float:
        scorer = model_scorer(copy.deepcopy(model).cpu(), training_set.table)
        quality = float(ndcg(rank_targets(scorer, chosen_on, plan.without_history), 10).mean())
        plan.observe(quality)
        return 1.0 - quality

    again = plan.newer is not None
    model, epochs = _fitted(
        training_set, plan, loss if chosen_on else None, _part(progress, 0.0, 0.5 if again else 1.0)
    )  # 1
    if plan.newer is not None:
        same = replace(plan, loop=replace(plan.loop, epochs=max(1, epochs)))
        model, _ = _fitted(plan.newer, same, None, _part(progress, 0.5, 1.0))  # 2
    return model


def model_scorer(model: FusionTransformer, table: ContentTable) -> BlockScorer:
    """The model's retrieval as blocks of logits (B, N): what `Snapshot.of(model, table)` ranks with."""
    snapshot = Snapshot.of(model, table)
    items = float(model.scale().detach()) * snapshot.vectors.numpy().T  # (D, N)
    bias = snapshot.bias.numpy()  # (N,)

    def scores(users: Sequence[TestUser]) -> NDArray[np.float32]:
        moments = [Moment(user.history, user.at_ms, (), ()) for user in users]
        with torch.no_grad():
            vectors = encode_users(model, snapshot.vectors, moments).numpy()  # (B, D)
        logits: NDArray[np.float32] = vectors @ items + bias
        return logits

    return scores


def _fitted(
    training_set: TrainingSet,
    plan: FitPlan,
    loss: Callable[[FusionTransformer], float] | None,
    progress: Progress,
) -> tuple[FusionTransformer, int]:
    torch.manual_seed(plan.worker.seed)
    model = FusionTransformer(FusionConfig(training_set.table.shape, plan.width))
    counts = recent_counts(
        training_set.users, len(training_set.table.vocabulary), training_set.data_to_ms, HALF_LIFE_DAYS
    )
    warm_start(model, training_set.users, counts, plan.worker.seed)
    step = TowerStep(model.to(plan.worker.device), training_set.table)
    validate = None if loss is None else lambda: loss(model)
    report = train_towers(step, training_set.users, plan.loop, plan.worker, progress, validate)
    return model.cpu().eval(), report.kept


def _part(progress: Progress, start: float, end: float) -> Progress:
    return lambda what, share: progress(what, start + (end - start) * share)
