"""A smaller student learns the ranking distribution of a trained teacher beside the usual loss.

The student is a whole fusion transformer of its own width and layers, with item vectors of its own.
B windows, T interactions, P positions with a target, C items of the pool, N items, D width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.data.archive_set import TrainingSet
from training.data.collate import SequenceBatch
from training.loop import LoopConfig, Progress, Worker, train_towers
from training.losses import sampled_softmax
from training.model.fusion import FusionConfig, FusionTransformer
from training.snapshot import Snapshot
from training.tower_step import SAMPLED_NEGATIVES
from training.warm_start import recent_counts, warm_start

FOREVER_DAYS = 36_500.0


@dataclass(frozen=True)
class Distillation:
    """How much is learned from the teacher.

    Attributes:
        share: Of the teacher's part in the loss, 0 (none: the usual training) to 1.
        temperature: Both distributions are softened by it. The teacher is soft already: how much its personal score is
            trusted was chosen on validation users.
        negatives: Uniform draws of the pool, beside the batch's own targets.
    """

    share: float = 0.5
    temperature: float = 1.0
    negatives: int = SAMPLED_NEGATIVES


class DistillStep(nn.Module):
    """Loss of a student on a batch: cross-entropy of the targets, and divergence from the teacher.

    Hinton et al., "Distilling the knowledge in a neural network" (2015), sec. 2: (1 - a) CE + a t^2 KL(teacher ||
    student) at temperature t. The distribution is over a pool of sampled items and not over the catalogue; we take its
    whole softmax where Tang & Wang, "Ranking distillation" (2018), eq. 7, take the teacher's first K items, since a
    pool seldom holds those.

    Args:
        student: What is trained.
        teacher: Frozen, on the same device; its item vectors are those of `training_set`.
        training_set: Content of all items.
        config: How much is learned from the teacher.
    """

    def __init__(
        self, student: FusionTransformer, teacher: Snapshot, training_set: TrainingSet, config: Distillation
    ) -> None:
        super().__init__()
        self.student = student
        self._teacher = teacher
        self._table = training_set.table
        self._config = config

    def forward(self, batch: SequenceBatch) -> Tensor:
        """The mean loss over the batch's targets, a scalar; a batch without any target gives 0."""
        student, teacher, places = self._logits(batch)
        if not len(places):
            return student.sum() * 0.0
        share, temperature = self._config.share, self._config.temperature
        told = divergence(teacher, student, temperature) * temperature**2
        return (1 - share) * sampled_softmax(student, places) + share * told

    def divergence(self, batch: SequenceBatch) -> float:
        """Mean KL(teacher || student) in nats over the positions of a batch, at temperature 1, over a drawn pool."""
        with torch.no_grad():
            student, teacher, _ = self._logits(batch)
            return float(divergence(teacher, student, 1.0))

    def _logits(self, batch: SequenceBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Of student and teacher, each (P, C), and the column of each target, (P,)."""
        wanted = batch.weights > 0  # (B, T + 1)
        count = len(self._table.vocabulary)
        targets = batch.targets[wanted]  # (P,)
        drawn = torch.randint(count, (min(self._config.negatives, count),), device=targets.device)
        pool, places = torch.unique(torch.cat([targets, drawn]), return_inverse=True)  # (C,), (P + draws,)
        encoded, inverse = torch.unique(torch.cat([batch.items.flatten(), pool]), return_inverse=True)
        read, pooled = inverse.split([batch.items.numel(), len(pool)])
        tokens = self._table.tokens(encoded.cpu().numpy()).to(targets.device)
        items = self.student.items(tokens)  # (encoded, D)
        users = self.student.users(items[read.view_as(batch.items)], batch.kinds, batch.gaps)[wanted]  # (P, D)
        own = self.student.catalogue_logits(users, items[pooled], tokens.ids[pooled])  # (P, C)
        return own, self._told(batch, wanted, pool), places[: len(targets)]

    def _told(self, batch: SequenceBatch, wanted: Tensor, pool: Tensor) -> Tensor:
        """The teacher's logits (P, C)."""
        teacher = self._teacher
        with torch.no_grad():
            users = teacher.model.users(teacher.vectors[batch.items], batch.kinds, batch.gaps)[wanted]  # (P, D)
            return teacher.model.catalogue_logits(users, teacher.vectors[pool], teacher.ids[pool])


def divergence(teacher: Tensor, student: Tensor, temperature: float) -> Tensor:
    """Mean KL(teacher || student) in nats of the softmaxes of (P, C) logits over a temperature; scalar."""
    own = functional.log_softmax(student / temperature, dim=1)  # (P, C)
    told = functional.log_softmax(teacher / temperature, dim=1)  # (P, C)
    return functional.kl_div(own, told, reduction="batchmean", log_target=True)


def distilled(
    teacher: Snapshot,
    training_set: TrainingSet,
    config: FusionConfig,
    loop: LoopConfig,
    worker: Worker,
    progress: Progress,
    distillation: Distillation = Distillation(),
) -> FusionTransformer:
    """A student, warmed up and trained as any model, that learns from a teacher too; on the CPU, in evaluation mode.

    Args:
        teacher: On the CPU.
        training_set: What may be learned.
        config: Sizes of the student.
        loop: As many epochs as the teacher had, or more.
        worker: This worker; its device is the CPU.
        progress: Called as the training goes on.
        distillation: How much is learned from the teacher.
    """
    torch.manual_seed(worker.seed)
    student = FusionTransformer(config)
    items = len(training_set.table.vocabulary)
    counts = recent_counts(training_set.users, items, training_set.data_to_ms, FOREVER_DAYS)
    warm_start(student, training_set.table, training_set.users, counts, worker.seed)
    step = DistillStep(student, teacher, training_set, distillation)
    train_towers(step, training_set.users, loop, worker, progress)
    return student.eval()
