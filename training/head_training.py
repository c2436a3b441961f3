"""Training of the ranking heads over frozen towers: full batches, few features, seconds.

Whole blocks of features are hidden at random, so that a missing row (degraded serving, the incremental learner) is
something that the heads know. R rows, D width, F features.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from contracts.features import HISTORY_LENGTH
from training.data.head_rows import HeadRows, Moment
from training.losses import heads_loss
from training.model.features import CROSS_BLOCK, ITEM_BLOCK, USER_BLOCK
from training.model.fusion import FusionTransformer
from training.model.vocabulary import gap_buckets

EPOCHS = 20
BATCH = 2048
LEARNING_RATE = 3e-3
HIDDEN_BLOCKS = 0.1


@dataclass(frozen=True)
class TowerExits:
    """The towers' answers for the rows: user vectors (R, D), item vectors (R, D), retrieval logits (R,)."""

    users: Tensor
    items: Tensor
    match: Tensor


def encode_users(model: FusionTransformer, vectors: Tensor, moments: tuple[Moment, ...] | list[Moment]) -> Tensor:
    """User vectors of moments by the item vectors (N, D): (moments, D), in batches."""
    encoded = []
    with torch.no_grad():
        for start in range(0, len(moments), 256):
            part = moments[start : start + 256]
            items, kinds, gaps = (np.zeros((len(part), HISTORY_LENGTH), dtype=np.int64) for _ in range(3))
            lengths = np.zeros(len(part), dtype=np.int64)
            for row, moment in enumerate(part):
                user = moment.user.part(max(0, len(moment.user) - HISTORY_LENGTH), len(moment.user))
                lengths[row] = len(user)
                items[row, : len(user)] = user.items
                kinds[row, : len(user)] = user.kinds
                gaps[row, : len(user)] = gap_buckets(user.times_ms.tolist(), moment.at_ms)
            users = model.users(vectors[torch.from_numpy(items)], torch.from_numpy(kinds), torch.from_numpy(gaps))
            encoded.append(users[torch.arange(len(part)), torch.from_numpy(lengths)])  # (256, D)
    return torch.cat(encoded) if encoded else vectors.new_zeros((0, vectors.shape[1]))


def train_heads(model: FusionTransformer, vectors: Tensor, ids: Tensor, rows: HeadRows, seed: int) -> list[float]:
    """Fits the heads to the rows and gives the mean loss of each epoch; the towers stay as they are.

    Args:
        model: On the CPU.
        vectors: (N, D) item vectors.
        ids: (N,) id rows of the items.
        rows: What to fit; none leaves the heads as they are, which rank as the retrieval does.
        seed: Of the order and of the hidden blocks.
    """
    if not len(rows.items):
        return []
    places = torch.from_numpy(rows.items)
    users = encode_users(model, vectors, rows.moments)[torch.from_numpy(rows.owner)]  # (R, D)
    items = vectors[places]  # (R, D)
    with torch.no_grad():
        match = model.pair_logits(users, items, ids[places])  # (R,)
    exits = TowerExits(users, items, match)
    features, labels = torch.from_numpy(rows.features), torch.from_numpy(rows.labels)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.heads.parameters(), lr=LEARNING_RATE, weight_decay=0.1)
    losses = []
    model.heads.train()
    for epoch in range(EPOCHS):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * (1 - epoch / EPOCHS)
        total = 0.0
        for part in torch.split(torch.randperm(len(places), generator=generator), BATCH):
            hidden = hide_blocks(features[part], generator)
            logits = model.heads(exits.users[part], exits.items[part], exits.match[part], hidden)  # (batch, 3)
            loss = heads_loss(logits, labels[part], torch.ones_like(labels[part]))
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()
            total += float(loss.detach()) * len(part)
        losses.append(total / len(places))
    model.heads.eval()
    return losses


def hide_blocks(features: Tensor, generator: torch.Generator) -> Tensor:
    """Zeroes the user's block (affinities too) and the item's (co-visits too) in some rows of (R, F)."""
    users, items = len(USER_BLOCK), len(USER_BLOCK) + len(ITEM_BLOCK)
    kept = torch.rand((len(features), 2), generator=generator) >= HIDDEN_BLOCKS  # (R, 2)
    mask = torch.ones_like(features)
    mask[:, :users] = kept[:, :1].float()
    mask[:, items : items + 2] = kept[:, :1].float()
    mask[:, users:items] = kept[:, 1:].float()
    mask[:, items + len(CROSS_BLOCK) - 1] = kept[:, 1].float()
    return features * mask
