"""Structured pruning of the user tower: whole attention heads and feed-forward neurons go, and so do their costs.

The item tower stays as it is: item vectors, and with them the vector index, remain valid. H heads, F neurons, D width.
"""

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from contracts.errors import ModelError
from training.data.archive_set import TrainingSet
from training.loop import LoopConfig, Progress, Worker, train_towers
from training.model.blocks import PreNormBlock
from training.model.fusion import FusionTransformer
from training.tower_step import TowerStep


@dataclass(frozen=True)
class Kept:
    """Shares of the attention heads and of the feed-forward neurons of each block that stay; above 0, at most 1."""

    heads: float = 0.5
    neurons: float = 0.5


def pruned(model: FusionTransformer, kept: Kept = Kept()) -> FusionTransformer:
    """A copy with a smaller user tower, to be tuned by `fine_tune`; `checkpoint.save` knows whole towers alone.

    What is least by the size of its weights goes, as the filters of Li et al., "Pruning filters for efficient
    convnets" (2017), sec. 3.1; heads go whole, as in Michel et al., "Are sixteen heads really better than one?"
    (2019). We differ in measuring what a unit writes by the norm of the product of its two matrices.

    Args:
        model: With pre-norm blocks.
        kept: How much stays; at least one head and one neuron do.

    Raises:
        ModelError: a block is of another kind, or a share is not above 0 and at most 1.
    """
    for name, share in (("heads", kept.heads), ("neurons", kept.neurons)):
        if not 0.0 < share <= 1.0:
            raise ModelError(f"found a share of {name}={share}; expected one above 0 and at most 1")
    made = copy.deepcopy(model).cpu().eval()
    for block in made.user_tower.blocks:
        if not isinstance(block, PreNormBlock):
            raise ModelError(
                f"found a block {type(block).__name__} in the user tower; expected {PreNormBlock.__name__}: prune a "
                "model that was trained with block pre-norm"
            )
        _prune_heads(block, kept.heads)
        _prune_neurons(block, kept.neurons)
    return made


def fine_tune(
    model: FusionTransformer, training_set: TrainingSet, loop: LoopConfig, worker: Worker, progress: Progress
) -> None:
    """Trains the user tower alone, by the usual loss, so that it recovers from `pruned`; in place, on the CPU after.

    Args:
        model: What was pruned.
        training_set: What may be learned.
        loop: An epoch or two, at a lower rate than the training's.
        worker: This worker.
        progress: Called as the training goes on.
    """
    frozen = [
        weight
        for name, weight in model.named_parameters()
        if not name.startswith("user_tower.") and weight.requires_grad
    ]
    for weight in frozen:
        weight.requires_grad_(False)
    try:
        train_towers(TowerStep(model.to(worker.device), training_set.table), training_set.users, loop, worker, progress)
    finally:
        model.cpu().eval()
        for weight in frozen:
            weight.requires_grad_(True)


def _prune_heads(block: PreNormBlock, share: float) -> None:
    heads, each = block.heads, block.head_width
    width = block.out.out_features
    value = block.qkv.weight[2 * heads * each :].view(heads, each, width)  # (H, D/H, D)
    written = block.out.weight.view(width, heads, each).permute(1, 0, 2)  # (H, D, D/H)
    sizes = (written @ value).flatten(1).norm(dim=1)  # (H,)
    kept = _largest(sizes, share)  # (h,)
    rows = (kept[:, None] * each + torch.arange(each)).flatten()  # (h * D/H,)
    block.qkv = _narrowed(block.qkv, outputs=torch.cat([rows + part * heads * each for part in range(3)]))
    block.out = _narrowed(block.out, inputs=rows)
    block.heads = len(kept)


def _prune_neurons(block: PreNormBlock, share: float) -> None:
    first, last = block.feed_forward[0], block.feed_forward[-1]
    if not isinstance(first, nn.Linear) or not isinstance(last, nn.Linear):
        raise ModelError(f"found a feed-forward of {block.feed_forward}; expected it to start and end with nn.Linear")
    kept = _largest(first.weight.norm(dim=1) * last.weight.norm(dim=0), share)  # (f,)
    block.feed_forward[0] = _narrowed(first, outputs=kept)
    block.feed_forward[len(block.feed_forward) - 1] = _narrowed(last, inputs=kept)


def _largest(sizes: Tensor, share: float) -> Tensor:
    count = max(1, math.ceil(share * len(sizes)))
    return torch.argsort(sizes, descending=True, stable=True)[:count].sort().values


def _narrowed(layer: nn.Linear, outputs: Tensor | None = None, inputs: Tensor | None = None) -> nn.Linear:
    weight, bias = layer.weight.detach(), layer.bias.detach()
    weight = weight if outputs is None else weight[outputs]
    weight = weight if inputs is None else weight[:, inputs]
    made = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        made.weight.copy_(weight)
        made.bias.copy_(bias if outputs is None else bias[outputs])
    return made
