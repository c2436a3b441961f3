"""How much the personal parts of the score are trusted, chosen on interactions that they have not learned.

A softmax finds the likeliest temperature, not the best ranking, and heads trained on few outcomes can do harm: both are
measured against a weaker form of themselves, the weakest being popularity and retrieval alone.
"""

import math
from collections.abc import Callable

import torch

from training.model.fusion import MOST_LOG_SCALE, FusionTransformer
from training.model.heads import RankingHeads
from training.model.mixture import SHARES
from training.validation import Validation

SCALES = (0.05, 0.1, 0.15, 0.25, 0.35, 0.5, 0.7, 1.0, 1.4)
"""Factors of the retrieval scale to choose from."""

STRENGTHS = (0.0, 0.25, 0.5, 1.0)
"""Shares of the heads' correction to choose from; 0 ranks as retrieval does."""


def calibrate_scale(model: FusionTransformer, validation: Validation) -> float:
    """Sets the retrieval scale to the factor that ranks the validation users best, and gives the factor."""
    losses = validation.losses(model, SCALES)
    best = min(SCALES, key=lambda factor: losses[factor])
    if not math.isnan(losses[best]):
        with torch.no_grad():
            model.log_scale.clamp_(max=MOST_LOG_SCALE).add_(math.log(best))  # the losses were those of a held scale
    return best


def calibrated_loss(model: FusionTransformer, validation: Validation) -> float:
    """The validation loss at the best factor of the scale: what the weights are worth, however sure they are."""
    return min(validation.losses(model, SCALES).values())


def calibrate_heads(heads: RankingHeads, ndcg: Callable[[], float]) -> float:
    """Keeps the share of the heads' correction that ranks best, and gives it.

    Args:
        heads: Trained heads; changed in place.
        ndcg: Ranks users that the heads have not learned from, with the heads as they are at the call.
    """
    learned = {name: tensor.detach().clone() for name, tensor in heads.state_dict().items()}
    figures: dict[float, float] = {}
    for strength in STRENGTHS:
        weaken(heads, learned, strength)
        figures[strength] = ndcg()
    best = max(STRENGTHS, key=lambda strength: figures[strength])
    weaken(heads, learned, best)
    return best


def calibrate_neighbours(model: FusionTransformer, ndcg: Callable[[], float]) -> float:
    """Keeps the share of the co-visits (`training/model/mixture.py`) that ranks best, and gives it.

    Args:
        model: Its `neighbour_share` is changed in place.
        ndcg: Ranks users whose later interactions are not learned, with the share as it is at the call.
    """
    figures: dict[float, float] = {}
    for share in SHARES:
        model.neighbour_share.fill_(share)
        figures[share] = ndcg()
    best = max(SHARES, key=lambda share: figures[share])
    model.neighbour_share.fill_(best)
    return best


def weaken(heads: RankingHeads, learned: dict[str, torch.Tensor], strength: float) -> None:
    """Sets the heads to the learned weights with their correction of the retrieval logit multiplied by `strength`."""
    heads.load_state_dict(learned)
    with torch.no_grad():
        for weights in (heads.out.weight, heads.out.bias, heads.direct.weight):
            weights *= strength
        heads.scale.copy_(1.0 + strength * (heads.scale - 1.0))
