"""One training step of the towers as a module: a batch of windows in, the chosen loss out.

It is a module of its own so that `DistributedDataParallel` can wrap it. Beyond the full softmax, items are encoded for
a pool alone: those of the batch and uniform negatives. B windows, T interactions, P targets, N items, K of
them interacted with, C pool, D width.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from training.data.collate import SequenceBatch
from training.losses import (
    FULL_SOFTMAX_ITEMS,
    TowerLoss,
    binary_cross_entropy,
    full_softmax,
    generalised_bce,
    log_inclusion,
    sampled_softmax,
)
from training.model.content import ContentTable, ItemTokens
from training.model.fusion import FusionTransformer

SAMPLED_NEGATIVES = 1024


@dataclass(frozen=True)
class LossConfig:
    """The loss of the towers.

    Attributes:
        kind: AUTO is the full softmax for up to `FULL_SOFTMAX_ITEMS` items, the sampled one beyond.
        negatives: Uniform negatives a batch, shared by its positions.
        correction: Whether the sampled softmax corrects for an item's chance to be in the pool (logQ); without it
            popular items, which are in every pool, are pushed down.
    """

    kind: TowerLoss = TowerLoss.AUTO
    negatives: int = SAMPLED_NEGATIVES
    correction: bool = True


class TowerStep(nn.Module):
    """Loss of the towers on a batch.

    Args:
        model: What is trained.
        table: Content of all items.
        loss: The choice of loss.
        shares: (N,) float32 share of each item among the interactions; even when None. An item without any is no
            negative: it was never passed over, and would learn that nobody wants it before anybody could.
    """

    def __init__(
        self,
        model: FusionTransformer,
        table: ContentTable,
        loss: LossConfig = LossConfig(),
        shares: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self._table = table
        self._config = loss
        self._count = len(table.vocabulary)
        auto = TowerLoss.FULL_SOFTMAX if self._count <= FULL_SOFTMAX_ITEMS else TowerLoss.SAMPLED_SOFTMAX
        self._kind = auto if loss.kind is TowerLoss.AUTO else loss.kind
        self._shares = torch.full((self._count,), 1 / max(self._count, 1)) if shares is None else shares
        self._known = torch.nonzero(self._shares).squeeze(1)  # (K,)
        self._all: ItemTokens | None = None

    def forward(self, batch: SequenceBatch) -> Tensor:
        """The mean loss over the batch's targets, a scalar; a batch without any target gives 0."""
        wanted = batch.weights > 0  # (B, T + 1)
        return (
            self._full_loss(batch, wanted) if self._kind is TowerLoss.FULL_SOFTMAX else self._pool_loss(batch, wanted)
        )

    def _full_loss(self, batch: SequenceBatch, wanted: Tensor) -> Tensor:
        if self._all is None:
            self._all = self._table.tokens().to(batch.items.device)
        items = self.model.items(self._all)  # (N, D)
        users = self.model.users(items[batch.items], batch.kinds, batch.gaps)[wanted]  # (P, D)
        logits = self.model.catalogue_logits(users, items, self._all.ids)  # (P, N)
        if len(self._known) < self._count:
            logits = logits.masked_fill((self._shares == 0).to(logits.device), -torch.inf)
        return full_softmax(logits, batch.targets[wanted]) if len(users) else logits.sum() * 0.0

    def _pool_loss(self, batch: SequenceBatch, wanted: Tensor) -> Tensor:
        draws = torch.randint(len(self._known), (min(self._config.negatives, len(self._known)),))
        drawn = self._known[draws].to(batch.items.device)
        targets = batch.targets[wanted]  # (P,)
        encoded, inverse = torch.unique(torch.cat([batch.items.flatten(), targets, drawn]), return_inverse=True)
        tokens = self._table.tokens(encoded.cpu().numpy().astype(np.int64)).to(batch.items.device)
        items = self.model.items(tokens)  # (encoded, D)
        read, wished, others = inverse.split([batch.items.numel(), len(targets), len(drawn)])
        users = self.model.users(items[read.view_as(batch.items)], batch.kinds, batch.gaps)[wanted]  # (P, D)
        if not len(users):
            return users.sum() * 0.0
        pool, places = torch.unique(torch.cat([wished, others]), return_inverse=True)  # (C,), (P + draws,)
        logits = self.model.catalogue_logits(users, items[pool], tokens.ids[pool])  # (P, C)
        own = places[: len(targets)]  # (P,)
        if self._kind is TowerLoss.GBCE:
            return generalised_bce(logits, own, self._count)
        if self._kind is TowerLoss.BCE:
            chosen = torch.randint(len(drawn), own.shape, device=own.device)  # (P,)
            return binary_cross_entropy(logits, own, places[len(targets) :][chosen])
        if not self._config.correction:
            return sampled_softmax(logits, own)
        shares = self._shares.to(logits.device)[encoded[pool]]  # (C,)
        return sampled_softmax(logits, own, log_inclusion(shares, len(targets), len(drawn) / len(self._known)))
