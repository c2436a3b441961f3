"""The three trainings of the towers within a batch training, which all workers take together.

Worker 0 alone does what lies between them: warm start, heads, calibration, evaluation. The others hold no sequences but
those that they read for a batch; they begin each training with worker 0's weights and learn of its decisions in the
loop. W workers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from training.data.batch_source import BatchSource
from training.data.sequences import UserSequence
from training.loop import LoopConfig, LoopReport, Progress, Worker, train_towers
from training.loop_config import Observe
from training.model.content import ContentTable
from training.model.fusion import FusionTransformer
from training.peers import Peers
from training.recipe import Recipe
from training.run_log import NoRunLog, RunLog
from training.tower_step import TowerStep

LATER_RATE = 0.25
"""Learning rate and time of the later trainings, as a share of those of the first."""

Wrap = Callable[[TowerStep], nn.Module]


@dataclass(frozen=True)
class Plan:
    """How to train: recipe, loop, this worker, how the step is wrapped for several, where stage 1's curve goes."""

    recipe: Recipe
    loop: LoopConfig
    worker: Worker
    wrap: Wrap
    log: RunLog = field(default_factory=NoRunLog)


@dataclass(frozen=True)
class TowerSources:
    """What the towers learn from, in stages 1, 3 and 5: sequences, or what deals out their batches."""

    oldest: Sequence[UserSequence] | BatchSource
    newer: Sequence[UserSequence] | BatchSource
    every: Sequence[UserSequence] | BatchSource


class TowerStages:
    """One worker's part in the trainings; all workers call `first` once and then `later` twice.

    Args:
        model: On the CPU between the trainings; that of worker 0 counts.
        table: Content of all items, the same on every worker.
        plan: Loop and worker.
    """

    def __init__(self, model: FusionTransformer, table: ContentTable, plan: Plan) -> None:
        self._model, self._table, self._plan = model, table, plan
        self._peers = Peers(plan.worker.rank, plan.worker.world)

    def first(
        self,
        source: Sequence[UserSequence] | BatchSource,
        progress: Progress,
        validate: Callable[[], float],
        observe: Observe,
        shares: Tensor | None = None,
    ) -> LoopReport:
        """Stage 1; arguments and errors as `train_towers`.

        `shares` (N,) are each item's of the interactions, as `TowerStep`; worker 0's count, the others need give none.
        """
        return self._train(source, self._plan.loop, progress, validate, observe, shares)

    def later(
        self, source: Sequence[UserSequence] | BatchSource, progress: Progress, shares: Tensor | None = None
    ) -> LoopReport:
        """Stage 3 or 5: one epoch at a lower rate; arguments and errors as `first`."""
        loop = self._plan.loop
        short = replace(
            loop,
            epochs=1,
            learning_rate=loop.learning_rate * LATER_RATE,
            seconds_limit=loop.seconds_limit * LATER_RATE,
        )
        return self._train(source, short, progress, None, None, shares)

    def _train(
        self,
        source: Sequence[UserSequence] | BatchSource,
        loop: LoopConfig,
        progress: Progress,
        validate: Callable[[], float] | None,
        observe: Observe | None,
        shares: Tensor | None,
    ) -> LoopReport:
        self._peers.weights_from_first(self._model.cpu())
        given = torch.zeros(len(self._table.vocabulary)) if shares is None else shares
        told = self._peers.tensor_from_first(given)
        own = TowerStep(
            self._model.to(self._plan.worker.device),
            self._table,
            self._plan.recipe.tower_loss(),
            told if told.any() else None,
        )
        step = self._plan.wrap(own)
        report = train_towers(step, source, loop, self._plan.worker, progress, validate, observe)
        self._model.cpu()
        return report


def follow(table: ContentTable, sources: TowerSources, plan: Plan) -> None:
    """What a worker other than the first does in a batch training: its part in the trainings of the towers.

    Args:
        table: Content of all items.
        sources: What deals out this worker's batches.
        plan: As worker 0's.

    Raises:
        MillstreamError: as `train_towers`.
    """
    torch.manual_seed(plan.worker.seed)
    stages = TowerStages(FusionTransformer(plan.recipe.model(table.shape)), table, plan)
    stages.first(sources.oldest, _untold, lambda: 0.0, lambda step, loss: None)  # 1
    stages.later(sources.newer, _untold)  # 3
    stages.later(sources.every, _untold)  # 5


def _untold(what: str, share: float) -> None:
    """Worker 0 tells how far the training is."""
