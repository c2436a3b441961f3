"""Where the loop's batches come from: sequences held in memory, or anything else that deals them out alike."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch

from training.data.collate import Epoch, SequenceBatch, batches
from training.data.sequences import UserSequence


@runtime_checkable
class BatchSource(Protocol):
    """Deals out an epoch's batches to one of several workers."""

    def batches(self, size: int, horizon: int, epoch: Epoch) -> Iterator[SequenceBatch]:
        """The worker's batches of an epoch, the same for the same arguments.

        Args:
            size: Windows a batch.
            horizon: As `training.data.collate.collate`.
            epoch: Which draw, for which worker.
        """
        ...

    def steps(self, size: int, epoch: Epoch) -> int:
        """About how many batches that is, for the schedule."""
        ...


@dataclass(frozen=True)
class InMemory:
    """Sequences in memory, the same for all workers."""

    users: Sequence[UserSequence]

    def batches(self, size: int, horizon: int, epoch: Epoch) -> Iterator[SequenceBatch]:
        """As `training.data.collate.batches`."""
        return batches(self.users, size, horizon, epoch)

    def steps(self, size: int, epoch: Epoch) -> int:
        """The number of batches of that epoch."""
        return sum(1 for _ in batches(self.users, size, 1, epoch))


def targets_of(batch: SequenceBatch) -> int:
    """How many targets a batch has."""
    return int((batch.weights > 0).sum())


def with_a_target(batch: SequenceBatch) -> SequenceBatch:
    """A batch with a target where it has none, to be weighted by zero.

    Every worker then uses the same parameters in every step, which collectives over gradients rely on.
    """
    weights, targets = torch.zeros_like(batch.weights), batch.targets.clone()
    weights[0, 0] = 1.0
    targets[0, 0] = batch.items[0, 0]  # touched, so that no loss takes it for an item that is never shown
    return replace(batch, weights=weights, targets=targets)
