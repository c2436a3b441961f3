"""The towers fitted to one split: settings on its validation users, then everything that may be learned.

1. The towers learn the training part, for as many epochs as the ranking of the validation users gets better:
   for none where the warm start ranks them best.
2. Where the validation interactions may be learned too, new towers learn them all for as many epochs.

The towers learn beside the popularity of all times. What ranks is the popularity of lately and a share of the personal
score (`training/trust.py`), mixed with the counts of what follows what (`training/neighbours.py`): all chosen on the
validation users.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from training.data.archive_set import TrainingSet
from training.data.head_rows import Moment
from training.data.sequences import item_shares
from training.evaluation.protocol import TestUser, time_split
from training.evaluation.ranking import BlockScorer
from training.head_training import encode_users
from training.loop import LoopConfig, Progress, Worker, train_towers
from training.model.content import ContentTable
from training.model.fusion import FusionTransformer
from training.neighbours import Mixing, Neighbours, chosen_mixing
from training.recipe import Recipe
from training.snapshot import Snapshot
from training.tower_step import TowerStep
from training.trust import FOREVER_DAYS, SHARES, Popularities, Trust, best_trust, trusting
from training.warm_start import warm_start

MOST_VALIDATION_USERS = 2000
HALF_LIVES = (FOREVER_DAYS, 120.0, 28.0, 7.0, 3.0)
"""Half-lives (days) of popularity to choose from, before anything is learned and at the end."""

SHARES_AN_EPOCH = (1.0, 0.5, 0.2)
"""Shares of the personal part to choose from after each epoch; `SHARES` at the end."""

NEWCOMERS = (0.0, 0.25, 0.5, 0.75)
"""Quantiles of known items' popularity to choose from for items that nobody has touched."""


@dataclass(frozen=True)
class FitPlan:
    """How to fit.

    Attributes:
        recipe: The model, its loss and its rate.
        loop: Epochs (at most) and batches.
        worker: Its seed, and where it computes.
        without_history: As `Split`.
        newer: What is learned in step 2; None for no step 2.
        observe: Called after each epoch of step 1 with its validation figure, the NDCG@10.
    """

    recipe: Recipe
    loop: LoopConfig
    worker: Worker
    without_history: bool = True
    newer: TrainingSet | None = None
    observe: Callable[[float], None] = lambda ndcg_at_10: None


@dataclass(frozen=True)
class Fitted:
    """A model on the CPU, in evaluation mode, and the neighbours that its probabilities are mixed with."""

    model: FusionTransformer
    neighbours: Neighbours

    def towers(self, table: ContentTable) -> BlockScorer:
        """Logits (B, N) by the model alone."""
        return model_scorer(self.model, table)

    def scorer(self, table: ContentTable) -> BlockScorer:
        """Logs of the mixed probabilities (B, N): what ranks."""
        return self.neighbours.mixed(self.towers(table))


def fit_towers(training_set: TrainingSet, validation: Sequence[TestUser], plan: FitPlan, progress: Progress) -> Fitted:
    """Fits the towers.

    Args:
        training_set: What may be learned while settings are chosen.
        validation: Users that they are chosen on, by NDCG@10.
        plan: Sizes, loop and worker.
        progress: Called as the training goes on.

    Returns:
        What ranks.
    """
    asked = validation[:: max(1, len(validation) // MOST_VALIDATION_USERS)]

    popularities = Popularities(training_set)

    def chosen(model: FusionTransformer, trusts: Sequence[Trust]) -> tuple[float, Trust]:
        return best_trust(model, popularities, asked, plan.without_history, trusts)

    def loss(model: FusionTransformer) -> float:
        quality, _ = chosen(model, [Trust(days, share) for days in half_lives for share in SHARES_AN_EPOCH])
        plan.observe(quality)
        return 1.0 - quality

    again = plan.newer is not None
    model, trust, half_lives = _untrained(training_set, plan), Trust(), {FOREVER_DAYS}
    if asked:
        _, first = chosen(model, [Trust(days, share) for days in HALF_LIVES for share in SHARES_AN_EPOCH])
        half_lives.add(first.half_life_days)
    epochs = _train(
        model, training_set, plan, loss if asked else None, _part(progress, 0.0, 0.5 if again else 1.0)
    )  # 1
    if asked:
        _, trust = chosen(model, [Trust(days, share) for days in HALF_LIVES for share in SHARES])
        _, trust = chosen(model, [replace(trust, newcomers=quantile) for quantile in NEWCOMERS])
    ranking = trusting(model, popularities, trust)
    mixing = Mixing()
    if asked:
        towers, asked_ms = model_scorer(ranking, training_set.table), max(user.at_ms for user in asked)
        mixing = chosen_mixing(training_set, asked_ms, towers, asked, plan.without_history)
    if plan.newer is None:
        return Fitted(ranking, Neighbours.of(training_set, training_set.data_to_ms, mixing))
    same = replace(plan, loop=replace(plan.loop, epochs=epochs))
    model = _untrained(plan.newer, plan)
    _train(model, plan.newer, same, None, _part(progress, 0.5, 1.0))  # 2
    return Fitted(
        trusting(model, Popularities(plan.newer), trust), Neighbours.of(plan.newer, plan.newer.data_to_ms, mixing)
    )


def fit_everything(log: TrainingSet, plan: FitPlan, progress: Progress) -> Fitted:
    """Fits the towers to all of a log: settings are chosen on its newest tenth, which is learned in step 2.

    Raises:
        NotEnoughData: too few users with anything new in that tenth.
    """
    part = time_split(log)
    return fit_towers(part.newer, part.test, replace(plan, newer=log), progress)


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


def _untrained(learned: TrainingSet, plan: FitPlan) -> FusionTransformer:
    torch.manual_seed(plan.worker.seed)
    model = FusionTransformer(plan.recipe.model(learned.table.shape))
    counts = Popularities(learned).counts(FOREVER_DAYS)
    warm_start(model, learned.table, learned.users, counts, plan.worker.seed)
    return model


def _train(
    model: FusionTransformer,
    learned: TrainingSet,
    plan: FitPlan,
    loss: Callable[[FusionTransformer], float] | None,
    progress: Progress,
) -> int:
    shares = torch.from_numpy(item_shares(learned.users, len(learned.table.vocabulary)))
    step = TowerStep(model.to(plan.worker.device), learned.table, plan.recipe.tower_loss(), shares)
    validate = None if loss is None else lambda: loss(model)
    report = train_towers(step, learned.users, plan.loop, plan.worker, progress, validate)
    model.cpu().eval()
    return report.kept


def _part(progress: Progress, start: float, end: float) -> Progress:
    return lambda what, share: progress(what, start + (end - start) * share)
