"""Losses: softmax over the catalogue (full or sampled) for the towers, binary cross-entropy for the heads.

P positions, N items, S sampled negatives, B rows.
"""

import torch
from torch import Tensor
from torch.nn import functional

FULL_SOFTMAX_ITEMS = 20_000
"""Catalogues up to this size are trained with the full softmax."""


def full_softmax(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of (P, N) logits against (P,) int64 targets.

    As in Kang & McAuley, SASRec (2018), with the full softmax of Klenitskiy & Vasilev, "Turning dross into gold loss"
    (2023), eq. 4, in place of its binary loss.
    """
    return functional.cross_entropy(logits, targets)


def sampled_softmax(positive: Tensor, negative: Tensor, log_q: Tensor, hit: Tensor) -> Tensor:
    """Mean cross-entropy over the positive and S shared negatives, corrected for how they were sampled.

    Yi et al., "Sampling-bias-corrected neural modeling" (2019), eq. 4: each negative's logit less the log of its
    expected count. We differ in leaving the positive uncorrected, since it is not sampled (as Bengio & Senecal, 2008).

    Args:
        positive: (P,) logits of the targets.
        negative: (P, S) logits of the sampled items.
        log_q: (S,) log of the expected number of times each negative is sampled.
        hit: (P, S) bool, where a sampled item is the position's own target: left out.
    """
    corrected = (negative - log_q).masked_fill(hit, float("-inf"))  # (P, S)
    every = torch.cat([positive.unsqueeze(-1), corrected], dim=-1)  # (P, 1 + S)
    return (torch.logsumexp(every, dim=-1) - positive).mean()


def heads_loss(logits: Tensor, labels: Tensor, known: Tensor) -> Tensor:
    """Binary cross-entropy of (B, 3) logits, averaged over the rows and heads that have a label.

    Args:
        logits: (B, 3) by `heads.Head`.
        labels: (B, 3) float32, 0 or 1.
        known: (B, 3) float32 weight of each label; 0 where the row says nothing about that head.
    """
    losses = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")  # (B, 3)
    return (losses * known).sum() / known.sum().clamp(min=1.0)
