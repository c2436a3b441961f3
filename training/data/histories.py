"""Histories of users at times as tensors, and their user vectors: the input of every head that reads the user tower.

R rows, T interactions (of the longest history in a batch), N items, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from contracts.features import HISTORY_LENGTH
from training.data.sequences import UserSequence
from training.model.fusion import FusionTransformer
from training.model.vocabulary import gap_buckets

BATCH = 512


@dataclass(frozen=True)
class Histories:
    """The newest interactions of each row, right-padded.

    Attributes:
        items: (R, T) int64 item indices, 0 where padded.
        kinds: (R, T) int64 kind rows.
        gaps: (R, T) int64 buckets of the time to the next interaction, to the row's time for the last.
        lengths: (R,) int64 interactions of each row.
    """

    items: Tensor
    kinds: Tensor
    gaps: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, rows: Sequence[tuple[UserSequence, int]]) -> "Histories":
        """Histories with the times (ms) that they are read at; nothing of a history may be later than its time."""
        items, kinds, gaps = (np.zeros((len(rows), HISTORY_LENGTH), dtype=np.int64) for _ in range(3))
        lengths = np.zeros(len(rows), dtype=np.int64)
        for row, (user, at_ms) in enumerate(rows):
            newest = user.part(max(0, len(user) - HISTORY_LENGTH), len(user))
            count = lengths[row] = len(newest)
            items[row, :count] = newest.items
            kinds[row, :count] = newest.kinds
            gaps[row, :count] = gap_buckets(newest.times_ms.tolist(), at_ms)
        return cls(*(torch.from_numpy(array) for array in (items, kinds, gaps, lengths)))

    def __len__(self) -> int:
        return len(self.lengths)

    def rows(self, places: Tensor) -> "Histories":
        """The rows at the given places (P,), as short as the longest of them allows."""
        lengths = self.lengths[places]
        longest = max(int(lengths.max()) if len(lengths) else 0, 1)
        return Histories(
            self.items[places, :longest], self.kinds[places, :longest], self.gaps[places, :longest], lengths
        )

    def encode(self, model: FusionTransformer, vectors: Tensor) -> Tensor:
        """User vectors (R, D) by item vectors (N, D), with gradients where they are enabled."""
        users = model.users(vectors[self.items], self.kinds, self.gaps)  # (R, T + 1, D)
        return users[torch.arange(len(self)), self.lengths]  # (R, D)


def frozen_users(model: FusionTransformer, vectors: Tensor, histories: Histories) -> Tensor:
    """User vectors (R, D) in batches, without gradients, of a model in evaluation mode."""
    model.eval()
    with torch.no_grad():
        order = torch.argsort(histories.lengths)  # histories of like length together: little padding
        parts = [histories.rows(part).encode(model, vectors) for part in torch.split(order, BATCH) if len(part)]
        users = vectors.new_zeros((len(histories), vectors.shape[1]))
        if parts:
            users[order] = torch.cat(parts)
    return users
