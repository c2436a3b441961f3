"""The optimizer of the towers and the rate that it follows: AdamW in groups, one cosine cycle over the planned steps.

The groups are the same alone, replicated and sharded, so that a saved state fits each of them.
"""

import math

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

WARM_UP_SHARE = 0.05
LEAST_RATE = 0.01
"""The rate at both ends of the cycle, as a share of its highest."""

CLIP_NORM = 5.0
WEIGHT_DECAY = 0.01
BETAS = (0.9, 0.98)


def make_optimizer(module: nn.Module, learning_rate: float) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019) on all parameters; matrices decay, vectors and scalars do not.

    Scalars are a group of their own: they are never sharded, and a group holds one kind of tensor.
    """
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = (
        ([p for p in trained if p.ndim > 1], WEIGHT_DECAY),
        ([p for p in trained if p.ndim == 1], 0.0),
        ([p for p in trained if p.ndim == 0], 0.0),
    )
    return torch.optim.AdamW(
        [{"params": parameters, "weight_decay": decay} for parameters, decay in groups],
        lr=learning_rate,
        betas=BETAS,
    )


def rate_at(share: float) -> float:
    """The learning rate at a share (0 to 1) of the training, as a share of its highest.

    Linear up, then half a cosine down: Loshchilov & Hutter, SGDR (2017), eq. 5, without restarts.
    """
    if share < WARM_UP_SHARE:
        return min(1.0, share / WARM_UP_SHARE + LEAST_RATE)
    falling = 0.5 * (1.0 + math.cos(math.pi * (share - WARM_UP_SHARE) / (1.0 - WARM_UP_SHARE)))
    return max(LEAST_RATE, falling)


def set_rate(optimizer: torch.optim.Optimizer, learning_rate: float, share: float) -> None:
    """Sets every group's rate to where the cycle of `learning_rate` stands at a share of the training."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * rate_at(share)


def clip(optimizer: torch.optim.Optimizer, most: float = CLIP_NORM) -> None:
    """Scales all gradients so that their joint Euclidean norm is at most `most` (Pascanu et al. 2013, alg. 1).

    Sharded and whole gradients are measured apart and scaled together; the norm is that of the whole model.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    kinds = [[p for p in parameters if isinstance(p, DTensor) is sharded] for sharded in (False, True)]
    norms = [_norm([p.grad for p in kind]) for kind in kinds if kind]
    if not norms:
        return
    norm = norms[0] if len(norms) == 1 else torch.stack(norms).square().sum().sqrt()
    for kind in kinds:
        if kind:
            clip_grads_with_norm_(kind, most, norm)


def _norm(gradients: list[Tensor]) -> Tensor:
    norm = get_total_norm(gradients)
    return norm.full_tensor() if isinstance(norm, DTensor) else norm


def planned_share(step: int, planned: int, elapsed_s: float, limit_s: float) -> float:
    """How much of the training is done: by steps or by time, whichever is further; a limit of 0 is none."""
    by_time = elapsed_s / limit_s if limit_s > 0 and math.isfinite(limit_s) else 0.0
    return max(step / max(planned, 1), by_time)
