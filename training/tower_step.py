"""One training step of the towers as a module: a batch of windows in, the softmax loss out.

It is a module of its own so that `DistributedDataParallel` can wrap it. B windows, T interactions, P targets, N items.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from training.data.collate import SequenceBatch
from training.losses import FULL_SOFTMAX_ITEMS, full_softmax, sampled_softmax
from training.model.content import ContentTable, ItemTokens
from training.model.fusion import FusionTransformer

SAMPLED_NEGATIVES = 4096


class TowerStep(nn.Module):
    """Loss of the towers on a batch: full softmax for catalogues up to `FULL_SOFTMAX_ITEMS`, sampled beyond."""

    def __init__(self, model: FusionTransformer, table: ContentTable, full_up_to: int = FULL_SOFTMAX_ITEMS) -> None:
        super().__init__()
        self.model = model
        self._table = table
        self._full = len(table.vocabulary) <= full_up_to
        self._all: ItemTokens | None = None

    def forward(self, batch: SequenceBatch) -> Tensor:
        """The mean loss over the batch's targets, a scalar; a batch without any target gives 0."""
        wanted = batch.weights > 0  # (B, T + 1)
        return self._full_loss(batch, wanted) if self._full else self._sampled_loss(batch, wanted)

    def _full_loss(self, batch: SequenceBatch, wanted: Tensor) -> Tensor:
        if self._all is None:
            self._all = self._table.tokens().to(batch.items.device)
        items = self.model.items(self._all)  # (N, D)
        users = self.model.users(items[batch.items], batch.kinds, batch.gaps)[wanted]  # (P, D)
        logits = self.model.catalogue_logits(users, items, self._all.ids)  # (P, N)
        return full_softmax(logits, batch.targets[wanted]) if len(users) else logits.sum() * 0.0

    def _sampled_loss(self, batch: SequenceBatch, wanted: Tensor) -> Tensor:
        count = len(self._table.vocabulary)
        negatives = torch.randint(count, (min(SAMPLED_NEGATIVES, count),), device=batch.items.device)  # (S,)
        places, inverse = torch.unique(
            torch.cat([batch.items.flatten(), batch.targets[wanted], negatives]), return_inverse=True
        )
        tokens = self._table.tokens(places.cpu().numpy().astype(np.int64)).to(batch.items.device)
        items = self.model.items(tokens)  # (unique, D)
        sequence, targets, sampled = inverse.split([batch.items.numel(), int(wanted.sum()), len(negatives)])
        users = self.model.users(items[sequence.view_as(batch.items)], batch.kinds, batch.gaps)[wanted]  # (P, D)
        if not len(users):
            return users.sum() * 0.0
        positive = self.model.pair_logits(users, items[targets], tokens.ids[targets])  # (P,)
        negative = self.model.catalogue_logits(users, items[sampled], tokens.ids[sampled])  # (P, S)
        log_q = torch.full((len(negatives),), math.log(len(negatives) / count), device=users.device)  # (S,)
        return sampled_softmax(positive, negative, log_q, targets.unsqueeze(1) == sampled.unsqueeze(0))
