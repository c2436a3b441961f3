"""Fits the query tower to pairs of a query and an item that answered it; the items' vectors stay as they are.

A sampled softmax over the batch's own items and items drawn evenly, corrected for their chance to be drawn, without the
learned popularity: a vector index knows inner products alone. Where no log has taught the items anything, their content
may learn with the queries instead. P pairs, B of a step, C pool, N items, D width.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from contracts.errors import NotEnoughData
from training.data.query_pairs import QueryPairs
from training.loop_config import Progress
from training.losses import log_inclusion, sampled_softmax
from training.model.content import ContentTable
from training.model.fusion import FusionTransformer
from training.model.query_tower import QueryTower

DrawPairs = Callable[[int], QueryPairs]
"""The pairs of an epoch by its number: drawn anew, or the same each time."""


@dataclass(frozen=True)
class Catalogue:
    """N items, and the vectors (C, D) of those at places (C,) int64."""

    count: int
    vectors: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class QueryLoop:
    """How to fit.

    Attributes:
        epochs: How often pairs are asked for.
        batch: B.
        negatives: Items drawn evenly a step, beside those of the batch.
        learning_rate: Falls to nothing by half a cosine.
        weight_decay: Of Adam (AdamW).
    """

    epochs: int = 8
    batch: int = 256
    negatives: int = 1024
    learning_rate: float = 1e-3
    weight_decay: float = 0.01


def fit_queries(
    model: FusionTransformer,
    vectors: Tensor,
    pairs: DrawPairs,
    loop: QueryLoop,
    seed: int,
    progress: Progress = lambda what, share: None,
) -> list[float]:
    """Gives a model a query tower, begun as its item tower and fitted to pairs.

    Args:
        model: On the CPU; nothing but its query tower changes.
        vectors: (N, D) unit item vectors, as they are served.
        pairs: The pairs of an epoch.
        loop: How to fit.
        seed: Of order, negatives and first weights.
        progress: Called as the fitting goes on.

    Returns:
        The mean loss of each epoch.

    Raises:
        NotEnoughData: an epoch without any pair.
    """
    torch.manual_seed(seed)
    tower = model.add_query_tower()
    catalogue = Catalogue(len(vectors), vectors.__getitem__)
    return _fit(tower, catalogue, list(tower.parameters()), pairs, loop, progress)


def fit_queries_and_content(
    model: FusionTransformer,
    table: ContentTable,
    pairs: DrawPairs,
    loop: QueryLoop,
    seed: int,
    progress: Progress = lambda what, share: None,
) -> list[float]:
    """As `fit_queries`, and the item tower learns to read content: for a catalogue that nobody has touched yet.

    Id rows stay as they are and are masked. All item vectors change: they have to be written to the index anew.

    Args:
        model: On the CPU.
        table: Content of the N items.
        pairs: The pairs of an epoch.
        loop: How to fit.
        seed: Of order, negatives and first weights.
        progress: Called as the fitting goes on.

    Returns:
        The mean loss of each epoch.

    Raises:
        NotEnoughData: an epoch without any pair.
    """
    torch.manual_seed(seed)
    tower = model.add_query_tower()
    content = [weight for name, weight in model.item_tower.named_parameters() if not name.startswith("ids.")]
    catalogue = Catalogue(len(table.vocabulary), lambda pool: model.items(table.tokens(pool.numpy()).without_ids()))
    model.item_tower.train()
    losses = _fit(tower, catalogue, [*tower.parameters(), *content], pairs, loop, progress)
    model.eval()
    return losses


def query_loss(tower: QueryTower, catalogue: Catalogue, pairs: QueryPairs, shares: Tensor, negatives: int) -> Tensor:
    """The loss of one batch, a scalar.

    Yi et al., "Sampling-bias-corrected neural modeling" (2019), eq. 4, with the mixed negatives of Yang et al. (2020);
    see `losses.sampled_softmax`.

    Args:
        tower: What is fitted.
        catalogue: The items.
        pairs: B pairs.
        shares: (N,) share of each item among all pairs.
        negatives: Even draws.
    """
    drawn = torch.randint(catalogue.count, (min(negatives, catalogue.count),))
    pool, places = torch.unique(torch.cat([pairs.items, drawn]), return_inverse=True)  # (C,), (B + draws,)
    queries = tower(pairs.queries)  # (B, D)
    logits = tower.scale() * queries @ catalogue.vectors(pool).T  # (B, C)
    log_q = log_inclusion(shares[pool], len(pairs), len(drawn) / catalogue.count)  # (C,)
    return sampled_softmax(logits, places[: len(pairs)], log_q)


def _fit(
    tower: QueryTower,
    catalogue: Catalogue,
    parameters: list[Tensor],
    pairs: DrawPairs,
    loop: QueryLoop,
    progress: Progress,
) -> list[float]:
    optimizer = torch.optim.AdamW(parameters, lr=loop.learning_rate, weight_decay=loop.weight_decay)
    cycle = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(loop.epochs, 1))
    tower.train()
    losses = []
    for epoch in range(loop.epochs):
        learned = pairs(epoch)
        if not len(learned):
            raise NotEnoughData(
                f"found no pair of a query and an item in epoch {epoch}; expected at least one; load a catalogue with "
                "titles, or collect searches that a click, a cart or a purchase follows"
            )
        losses.append(_epoch(tower, catalogue, learned, loop, optimizer))
        cycle.step()
        progress(f"queries: epoch {epoch + 1} of {loop.epochs}", (epoch + 1) / loop.epochs)
    tower.eval()
    return losses


def _epoch(
    tower: QueryTower, catalogue: Catalogue, pairs: QueryPairs, loop: QueryLoop, optimizer: torch.optim.Optimizer
) -> float:
    shares = torch.bincount(pairs.items, minlength=catalogue.count).float() / len(pairs)  # (N,)
    total = 0.0
    for places in torch.split(torch.randperm(len(pairs)), loop.batch):
        optimizer.zero_grad(set_to_none=True)
        part = QueryPairs(pairs.queries.rows(places), pairs.items[places])
        loss = query_loss(tower, catalogue, part, shares, loop.negatives)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total += float(loss.detach()) * len(places)
    return total / len(pairs)
