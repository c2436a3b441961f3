"""How well probabilities of a yes-or-no outcome order users, what each of them costs, and how they are calibrated.

The calibration error is in `training.evaluation.metrics`. U users.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from contracts.errors import NotEnoughData

Floats = NDArray[np.float64]
_SMALLEST = 1e-7


def auc(probabilities: Floats, outcomes: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: the chance that a yes is above a no, ties counting half (Mann & Whitney 1947).

    Raises:
        NotEnoughData: all outcomes (U,) are the same.
    """
    yes = int(outcomes.sum())
    if yes in (0, len(outcomes)):
        raise NotEnoughData(
            f"found {yes} of {len(outcomes)} outcomes true; expected both kinds; choose a cut or a horizon with both"
        )
    _, inverse, counts = np.unique(probabilities, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]  # (U,): the mean rank of ties
    return float((ranks[outcomes].sum() - yes * (yes + 1) / 2) / (yes * (len(outcomes) - yes)))


def log_losses(probabilities: Floats, outcomes: NDArray[np.bool_]) -> Floats:
    """Negative log likelihood of each outcome, (U,), in nats; probabilities are kept off 0 and 1 by 1e-7."""
    kept = np.clip(probabilities, _SMALLEST, 1 - _SMALLEST)
    losses: Floats = -np.where(outcomes, np.log(kept), np.log1p(-kept))
    return losses


def platt(logits: torch.Tensor, outcomes: torch.Tensor) -> tuple[float, float]:
    """Slope and shift that make logits (U,) float32 likeliest for outcomes (U,) float32 of 0 and 1.

    Platt (1999), eq. 3 with his smoothed targets (sec. 2.1), which keep few users from giving certainty. A slope below
    zero, which would turn the order around, is refused by taking 0.
    """
    yes = float(outcomes.sum())
    no = len(outcomes) - yes
    targets = torch.where(outcomes > 0, (yes + 1) / (yes + 2), 1 / (no + 2))
    weights = torch.tensor([1.0, 0.0], requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = functional.binary_cross_entropy_with_logits(weights[0] * logits + weights[1], targets)
        torch.autograd.backward(loss)
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    slope, shift = weights.detach().tolist()
    return (slope, shift) if slope >= 0 else (0.0, float(np.log((yes + 1) / (no + 1))))
