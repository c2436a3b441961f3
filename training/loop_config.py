"""How a training of the towers is told what to do, and what it tells back."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch

from training.state_store import StateStore

Progress = Callable[[str, float], None]
"""Called with what is being done and the share of the whole training that is done, from 0 to 1."""

Observe = Callable[[int, float], None]
"""Called with the number of a step and its loss, the mean over the targets of all workers."""

Precision = Literal["auto", "off", "on"]


@dataclass(frozen=True)
class LoopConfig:
    """How to train.

    Attributes:
        epochs: At most.
        batch: Windows a batch, of each worker.
        learning_rate: The highest of the cycle.
        horizon: As `training.data.collate.collate`.
        seconds_limit: 0 means none.
        accumulate: Batches a step, of each worker; memory is that of one.
        precision: bfloat16 autocast: "auto" where a GPU computes in it, "on" everywhere, "off" nowhere.
        patience: Epochs without a lower validation loss that end the training.
    """

    epochs: int
    batch: int = 64
    learning_rate: float = 1e-3
    horizon: int = 1
    seconds_limit: float = 0.0
    accumulate: int = 1
    precision: Precision = "auto"
    patience: int = 3


@dataclass(frozen=True)
class LoopReport:
    """What was done: mean loss of each epoch, steps, seconds, and whether the time limit ended it.

    `resumed_at` are the steps at which it went on after an interruption, `kept` the epochs that the weights have seen.
    """

    losses: tuple[float, ...]
    steps: int
    seconds: float
    out_of_time: bool
    resumed_at: tuple[int, ...] = ()
    kept: int = 0


@dataclass(frozen=True)
class Worker:
    """Which of how many workers runs the loop, its device, and where its states go (nowhere when None)."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    rank: int = 0
    world: int = 1
    seed: int = 7
    states: StateStore | None = None


def autocasts(precision: Precision, device: torch.device) -> bool:
    """Whether a device computes in bfloat16 under a setting."""
    if precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported()
    return precision == "on"
