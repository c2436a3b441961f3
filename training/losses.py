"""Losses of the towers over a pool of items, by choice, and binary cross-entropy for the heads.

P positions, C items of the pool (the whole catalogue for the full softmax), N items of the catalogue, B rows.
"""

from enum import StrEnum

import torch
from torch import Tensor
from torch.nn import functional

FULL_SOFTMAX_ITEMS = 4096
"""Catalogues up to this size are trained with the full softmax unless another loss is chosen."""


class TowerLoss(StrEnum):
    """The choice of loss, by its name in the settings."""

    AUTO = "auto"
    FULL_SOFTMAX = "full-softmax"
    SAMPLED_SOFTMAX = "sampled-softmax"
    GBCE = "gbce"
    BCE = "bce"


def full_softmax(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of (P, N) logits against (P,) int64 targets.

    As in Kang & McAuley, SASRec (2018), with the full softmax of Klenitskiy & Vasilev, "Turning dross into gold loss"
    (2023), eq. 4, in place of its binary loss.
    """
    return functional.cross_entropy(logits, targets)


def sampled_softmax(logits: Tensor, places: Tensor, log_q: Tensor | None = None) -> Tensor:
    """Mean cross-entropy over a pool that holds every position's target and shared negatives.

    Yi et al., "Sampling-bias-corrected neural modeling" (2019), eq. 4, with the mixed negatives (in-batch and uniform)
    of Yang et al., "Mixed negative sampling" (2020), sec. 3.2. We differ in that an item stands in the pool once, so
    that `log_q` is the log of its chance to be in the pool, and in leaving the position's own target uncorrected.

    Args:
        logits: (P, C) of the pool's items, each of them once.
        places: (P,) int64 column of each position's target.
        log_q: (C,) log of each item's chance to be in the pool; None for no correction.
    """
    if log_q is None:
        return functional.cross_entropy(logits, places)
    own = logits.gather(1, places.unsqueeze(1))  # (P, 1)
    return functional.cross_entropy((logits - log_q).scatter(1, places.unsqueeze(1), own), places)


def generalised_bce(logits: Tensor, places: Tensor, items: int, calibration: float = 0.75) -> Tensor:
    """Binary cross-entropy whose positive term is weighted against the overconfidence of few negatives.

    Petrov & Macdonald, gSASRec (2023), eq. 11 and 13: beta = a (t (1 - 1/a) + 1/a) for a sampling rate a and a
    calibration t. We differ in sharing the negatives among the positions.

    Args:
        logits: (P, C), the negatives drawn uniformly.
        places: (P,) int64 column of each position's target.
        items: N.
        calibration: t, from 0 (plain binary cross-entropy) to 1.
    """
    own = logits.gather(1, places.unsqueeze(1)).squeeze(1)  # (P,)
    rate = min(1.0, (logits.shape[1] - 1) / max(items - 1, 1))
    beta = rate * (calibration * (1 - 1 / rate) + 1 / rate) if rate > 0 else 1.0
    every = functional.softplus(logits).sum(1)  # (P,): -log(1 - sigmoid) of all, the target among them
    return (beta * functional.softplus(-own) + every - functional.softplus(own)).mean()


def binary_cross_entropy(logits: Tensor, places: Tensor, negatives: Tensor) -> Tensor:
    """Binary cross-entropy of each target and one negative. Kang & McAuley, SASRec (2018), eq. 7.

    Args:
        logits: (P, C) of the pool's items.
        places: (P,) int64 column of each position's target.
        negatives: (P,) int64 column of each position's negative; a position whose negative is its target counts the
            target alone.
    """
    own = logits.gather(1, places.unsqueeze(1)).squeeze(1)  # (P,)
    other = logits.gather(1, negatives.unsqueeze(1)).squeeze(1)  # (P,)
    return (functional.softplus(-own) + functional.softplus(other) * (negatives != places)).mean()


def heads_loss(logits: Tensor, labels: Tensor, known: Tensor) -> Tensor:
    """Binary cross-entropy of (B, 3) logits, averaged over the rows and heads that have a label.

    Args:
        logits: (B, 3) by `heads.Head`.
        labels: (B, 3) float32, 0 or 1.
        known: (B, 3) float32 weight of each label; 0 where the row says nothing about that head.
    """
    losses = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")  # (B, 3)
    return (losses * known).sum() / known.sum().clamp(min=1.0)


def log_inclusion(shares: Tensor, targets: int, uniform_rate: float) -> Tensor:
    """Log of the chance that an item is in a pool of the batch's targets and of even draws: (C,) -> (C,).

    Args:
        shares: (C,) share of each item among all targets.
        targets: How many targets the batch has.
        uniform_rate: Expected number of even draws of one item: draws over N.
    """
    never = torch.log1p(-shares.clamp(max=1 - 1e-6)) * targets - uniform_rate  # (C,): log chance of no draw at all
    return torch.log(-torch.expm1(never.clamp(max=-1e-6)))
