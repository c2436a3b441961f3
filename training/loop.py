"""The training loop of the towers, without any runtime: epochs of batches, a schedule, a clock.

One learning-rate cycle over the planned steps (linear warm-up, linear decay); a time limit ends it early, in which case
the report says so.
"""

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from training.data.collate import Epoch, batches
from training.data.sequences import UserSequence

Progress = Callable[[str, float], None]
"""Called with what is being done and the share of the whole training that is done, from 0 to 1."""

WARM_UP_SHARE = 0.1
CLIP_NORM = 1.0


@dataclass(frozen=True)
class LoopConfig:
    """How to train. A `seconds_limit` of 0 means none."""

    epochs: int
    batch: int = 64
    learning_rate: float = 3e-4
    horizon: int = 1
    seconds_limit: float = 0.0


@dataclass(frozen=True)
class LoopReport:
    """What was done: mean loss of each epoch, steps, seconds, and whether the time limit ended it."""

    losses: tuple[float, ...]
    steps: int
    seconds: float
    out_of_time: bool


@dataclass(frozen=True)
class Worker:
    """Which of how many workers runs the loop, and its device."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    rank: int = 0
    world: int = 1
    seed: int = 7


def train_towers(
    step: nn.Module,
    users: Sequence[UserSequence],
    config: LoopConfig,
    worker: Worker,
    progress: Progress,
    validate: Callable[[], float] | None = None,
) -> LoopReport:
    """Trains the parameters that `step` exposes.

    Args:
        step: A `TowerStep`, or one wrapped for several workers.
        users: Sequences, the same for all workers.
        config: Epochs, batch size, rate and limits; with several workers the time limit is not used, since workers
            that stop apart would wait for each other.
        worker: This worker.
        progress: Called after every step of worker 0.
        validate: Loss on later interactions, called before the first epoch and after each: the epochs end when it no
            longer falls, and the best weights stay. The same for all workers, so that they stop together.

    Returns:
        What was done.
    """
    started = time.monotonic()
    optimizer = make_optimizer(step, config.learning_rate)
    steps_an_epoch = max(1, sum(1 for _ in batches(users, config.batch, 1, _epoch(worker, 0))))
    planned = config.epochs * steps_an_epoch
    limit_s = config.seconds_limit if config.seconds_limit > 0 and worker.world == 1 else float("inf")
    losses: list[float] = []
    done = 0
    best = Best(step)
    if validate is not None:
        step.eval()
        best.improved(validate())
    for number in range(config.epochs):
        step.train()
        epoch_losses: list[float] = []
        for batch in batches(users, config.batch, config.horizon, _epoch(worker, number)):
            elapsed = (time.monotonic() - started) / limit_s
            if elapsed >= 1.0:
                break
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * _schedule(max(done / planned, elapsed))
            loss = step(batch.to(worker.device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(step.parameters(), CLIP_NORM)
            optimizer.step()
            epoch_losses.append(float(loss.detach()))
            done += 1
            if worker.rank == 0:
                progress(f"epoch {number + 1} of {config.epochs}", max(min(done / planned, 1.0), min(elapsed, 1.0)))
        if epoch_losses:
            losses.append(float(np.mean(epoch_losses)))
        step.eval()
        if validate is not None and not best.improved(validate()):
            best.restore()
            break
    return LoopReport(tuple(losses), done, time.monotonic() - started, time.monotonic() - started >= limit_s)


class Best:
    """The weights with the lowest validation loss so far."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._loss = float("inf")
        self._weights: dict[str, torch.Tensor] = {}

    def improved(self, loss: float) -> bool:
        """Whether the loss is the lowest so far; the weights are then kept."""
        if not loss < self._loss:
            return False
        self._loss = loss
        self._weights = copy.deepcopy(self._module.state_dict())
        return True

    def restore(self) -> None:
        """Puts the best weights back; none were kept when every loss was NaN, and then the last ones stay."""
        if self._weights:
            self._module.load_state_dict(self._weights)


def make_optimizer(module: nn.Module, learning_rate: float) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019) on all parameters; matrices decay, vectors and scalars do not."""
    matrices = [p for p in module.parameters() if p.requires_grad and p.ndim > 1]
    others = [p for p in module.parameters() if p.requires_grad and p.ndim <= 1]
    return torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}], lr=learning_rate
    )


def _epoch(worker: Worker, number: int) -> Epoch:
    return Epoch(worker.seed, number, worker.rank, worker.world)


def _schedule(share: float) -> float:
    return min(share / WARM_UP_SHARE + 0.01, max(0.01, (1.0 - share) / (1.0 - WARM_UP_SHARE)), 1.0)
