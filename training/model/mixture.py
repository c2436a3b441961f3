"""The towers' softmax mixed with exact counts of what follows what: C items (candidates, or the whole catalogue).

A vector of D numbers knows what is alike and forgets rare pairs; co-visit counts remember every pair and know nothing
else. p(i) = (1 - share) softmax(logits)(i) + share near(i) / sum(near), after Jelinek & Mercer, "Interpolated
estimation of Markov source parameters" (1980); we differ in one share for all users, chosen on interactions that
neither part has learned.
"""

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float32]

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8)
"""Shares of the counts to choose from; 0 ranks as the towers do."""


def mixed_logits(logits: Reals, near: Reals, share: float, log_total: Reals | None = None) -> Reals:
    """Logits of the mixture, of the same total as the towers': what was made for these logits fits the mixed ones.

    Args:
        logits: (C,) or (B, C) retrieval logits.
        near: Of the same shape, co-visits with the history, not negative; a row of zeros leaves its logits as they are.
        share: Of the counts, from 0 to less than 1.
        log_total: (1,) `log_sum_exp` over the whole catalogue; None where the C are all items.
    """
    counted = near.sum(-1, keepdims=True)  # (1,) or (B, 1)
    if share == 0.0 or not counted.any():
        return logits
    total = log_sum_exp(logits) if log_total is None else log_total
    mixed: Reals = np.where(counted > 0, logits + np.float32(np.log1p(-share)), logits)
    known = near > 0
    added = np.log(share * near / np.maximum(counted, 1e-30) + np.float32(1e-38)) + total
    np.logaddexp(mixed, added, out=mixed, where=known)
    return mixed


def log_sum_exp(logits: Reals) -> Reals:
    """Log of the sum of the exponentials over the last axis, which is kept: (..., C) -> (..., 1)."""
    highest = logits.max(-1, keepdims=True)
    summed: Reals = highest + np.log(np.exp(logits - highest).sum(-1, keepdims=True))
    return summed
