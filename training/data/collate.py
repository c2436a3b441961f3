"""Windows to batches of like length, right-padded to the longest of the batch: little is computed on padding.

B windows, T interactions (at most `HISTORY_LENGTH`). Output position t of the user tower is the user after t
interactions; its target is an item that the user touches for the first time at t or within the next few interactions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contracts.features import HISTORY_LENGTH
from training.data.sequences import UserSequence, windows
from training.model.vocabulary import gap_buckets

LENGTH_NOISE = 2.0
"""Interactions by which lengths are blurred before windows are sorted, so that batches differ between epochs."""


@dataclass(frozen=True)
class SequenceBatch:
    """A batch of windows.

    Attributes:
        items: (B, T) int64 item indices, 0 where padded.
        kinds: (B, T) int64 kind rows.
        gaps: (B, T) int64 buckets of the time to the next interaction.
        targets: (B, T + 1) int64 item indices, 0 where there is no target.
        weights: (B, T + 1) float32: 1 where there is a target.
    """

    items: Tensor
    kinds: Tensor
    gaps: Tensor
    targets: Tensor
    weights: Tensor

    def to(self, device: torch.device) -> "SequenceBatch":
        """The same on another device."""
        return SequenceBatch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Epoch:
    """Which epoch is drawn, and for which of the workers: all draw the same windows and each takes its own."""

    seed: int
    number: int
    rank: int = 0
    world: int = 1


def batches(users: Sequence[UserSequence], size: int, horizon: int, epoch: Epoch) -> Iterator[SequenceBatch]:
    """One epoch: every user's windows once, shuffled among those of like length; as many batches for every worker.

    Args:
        users: All users, the same for all workers.
        size: Windows of full length a batch; a batch of shorter ones has more, up to as many positions.
        horizon: As `collate`.
        epoch: Which draw; with several workers up to `world - 1` batches are left out, so that none waits for another.
    """
    shared = np.random.default_rng([epoch.seed, epoch.number])
    cut = [window for window in windows(users, shared) if len(window)]
    own = np.random.default_rng([epoch.seed, epoch.number, epoch.rank])
    for places in _planned(cut, size * (HISTORY_LENGTH + 1), shared, epoch):
        yield collate([cut[place] for place in places], horizon, own)


def _planned(
    cut: Sequence[UserSequence], positions: int, rng: np.random.Generator, epoch: Epoch
) -> list[NDArray[np.int64]]:
    """The worker's batches, as places of windows: at most `positions` padded positions each, in random order.

    Workers step together, so that batches of one step are of like length.
    """
    lengths = np.array([len(window) for window in cut], dtype=np.int64)
    order = rng.permutation(len(cut))
    order = order[np.argsort(lengths[order] + rng.random(len(cut)) * LENGTH_NOISE, kind="stable")]
    planned, start, longest = [], 0, 0
    for place, index in enumerate(order.tolist()):
        wider = max(longest, int(lengths[index]))
        if place > start and wider * (place + 1 - start) > positions:
            planned.append(order[start:place])
            start, wider = place, int(lengths[index])
        longest = wider
    if start < len(order):
        planned.append(order[start:])
    steps = len(planned) // epoch.world
    return [planned[step * epoch.world + epoch.rank] for step in rng.permutation(steps).tolist()]


def collate(parts: Sequence[UserSequence], horizon: int, rng: np.random.Generator) -> SequenceBatch:
    """A batch of windows, each of at most T + 1 interactions.

    Args:
        parts: The windows.
        horizon: A position's target is the first fresh item at or after a random one of the next `horizon`
            interactions; 1 is the next fresh item. After Pancha et al., PinnerFormer (2022), sec. 3.4 (dense
            all-action loss); we draw one target a position.
        rng: Source of the draws.
    """
    longest = min(max(len(part) for part in parts) - 1, HISTORY_LENGTH)
    shape = (len(parts), longest)
    items, kinds, gaps = (np.zeros(shape, dtype=np.int64) for _ in range(3))
    targets = np.zeros((len(parts), longest + 1), dtype=np.int64)
    weights = np.zeros((len(parts), longest + 1), dtype=np.float32)
    for row, part in enumerate(parts):
        length = len(part)
        inputs = min(length - 1, HISTORY_LENGTH)
        items[row, :inputs] = part.items[:inputs]
        kinds[row, :inputs] = part.kinds[:inputs]
        gaps[row, :inputs] = gap_buckets(part.times_ms[:length].tolist(), int(part.times_ms[-1]))[:inputs]
        chosen = _next_fresh(part.fresh)[np.minimum(np.arange(length) + rng.integers(0, horizon, length), length - 1)]
        known = chosen < length
        targets[row, :length][known] = part.items[chosen[known]]
        weights[row, :length] = known
    return SequenceBatch(*(torch.from_numpy(array) for array in (items, kinds, gaps, targets, weights)))


def _next_fresh(fresh: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Place of the first fresh interaction at or after each place; L where there is none; shape (L,)."""
    length = len(fresh)
    places = np.where(fresh, np.arange(length), length)
    following: NDArray[np.int64] = np.minimum.accumulate(places[::-1])[::-1]
    return following
