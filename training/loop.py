"""The training loop of the towers, without any runtime: epochs of batches, a schedule, a clock, states on the way.

One learning-rate cycle over the planned steps; a time limit ends it early, in which case the report says so. W workers
take each step together: the loss of a step is the mean over the targets of all its batches, on however many workers.

1. The training takes up its saved state, if there is one.
2. Every step, the workers tell each other how many batches and targets they have, and whether to save.
3. An epoch ends when one of them has no batch left; worker 0 validates it.
4. The best weights stay, and the state says that nothing is left to do.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice

import torch
from torch import Tensor, nn

from contracts.errors import NotEnoughData
from training import state_store, train_state
from training.data.batch_source import BatchSource, InMemory, targets_of, with_a_target
from training.data.collate import Epoch, SequenceBatch
from training.data.prefetch import prefetched
from training.data.sequences import UserSequence
from training.loop_config import LoopConfig, LoopReport, Observe, Progress, Worker, autocasts
from training.optimizer import CLIP_NORM, clip, make_optimizer, planned_share, set_rate
from training.peers import Peers
from training.sharding import ShardedStep, settle, unwrapped
from training.state_store import Running
from training.train_state import Position

__all__ = ["CLIP_NORM", "LoopConfig", "LoopReport", "Progress", "Worker", "make_optimizer", "train_towers"]

PREFETCHED = 8
"""Batches made ahead for a device that is not the CPU."""


def train_towers(
    step: nn.Module,
    users: Sequence[UserSequence] | BatchSource,
    config: LoopConfig,
    worker: Worker,
    progress: Progress,
    validate: Callable[[], float] | None = None,
    observe: Observe | None = None,
) -> LoopReport:
    """Trains the parameters that `step` exposes.

    Args:
        step: A `TowerStep`, or one wrapped for several workers.
        users: Sequences, the same for all workers, or what deals out their batches.
        config: Epochs, batch size, rate and limits.
        worker: This worker.
        progress: Called after every step of worker 0.
        validate: Loss on later interactions, asked of worker 0 before the first epoch and after each: the epochs end
            when it no longer falls, and the best weights stay.
        observe: Called after every step, on all workers or on none.

    Returns:
        What was done, by all runs of a training that was interrupted together.

    Raises:
        BadCheckpoint: the saved state is not whole or is another training's.
        CheckpointNotSaved: a state cannot be written.
        NotEnoughData: not even one batch for each worker.
    """
    source = users if isinstance(users, BatchSource) else InMemory(users)
    return _Training(step, source, config, worker, progress, validate, observe).run()


class _Training:
    def __init__(
        self,
        step: nn.Module,
        source: BatchSource,
        config: LoopConfig,
        worker: Worker,
        progress: Progress,
        validate: Callable[[], float] | None,
        observe: Observe | None,
    ) -> None:
        self._step, self._source, self._config, self._worker = step, source, config, worker
        self._progress, self._validate, self._observe = progress, validate, observe
        self._peers = Peers(worker.rank, worker.world)
        self._at = Position()
        self._running = Running(step, make_optimizer(unwrapped(step), config.learning_rate), {}, self._at)
        self._autocast = autocasts(config.precision, worker.device)
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=worker.device)
        self._directory = worker.states.next_training() if worker.states else None
        self._started = self._saved = time.monotonic()

    def run(self) -> LoopReport:
        shared = self._own_generators()
        self._resume()  # 1
        while not self._at.finished:
            self._step.train()
            whole = self._epoch()
            self._step.eval()
            self._end_epoch(whole)
        settle(self._step)
        if shared is not None:
            torch.set_rng_state(shared)
        limit_s = self._config.seconds_limit
        at = self._at
        late = 0 < limit_s <= at.elapsed_s
        kept = len(at.losses) - at.worse
        return LoopReport(tuple(at.losses), at.step, at.elapsed_s, late, tuple(at.resumed_at), kept)

    def _own_generators(self) -> Tensor | None:
        """Parts the workers' random numbers; gives the state that all of them go on with afterwards."""
        if self._worker.world == 1:
            return None
        seed = int(torch.randint(2**62, ()))
        shared = torch.get_rng_state()
        torch.manual_seed(seed + self._worker.rank)
        return shared

    def _resume(self) -> None:
        at, states = self._at, self._worker.states
        found = None
        if states is not None and self._directory is not None:
            found = train_state.load(self._directory, self._fingerprint())
        if found is not None:
            state_store.restore(found, self._running, self._peers, self._worker.device)
            self._loss_sum += at.loss_sum / self._worker.world
            self._started -= at.elapsed_s
            if not at.finished:
                at.resumed_at.append(at.step)
            return
        batches = self._peers.least(self._source.steps(self._config.batch, self._drawn(0)))
        if batches < 1:
            raise NotEnoughData(
                f"found fewer batches of {self._config.batch} windows than the {self._worker.world} workers; "
                "expected one for each; train with fewer workers, or collect more events first"
            )
        at.planned = max(1, self._config.epochs * -(-int(batches) // self._config.accumulate))
        at.finished = self._config.epochs < 1
        self._step.eval()
        self._judge()
        at.worse = 0

    def _epoch(self) -> bool:
        """Trains until a worker has no batch left; False when the time limit was reached before."""
        for group in self._groups():
            elapsed_s, save, batches, targets = self._agreed(group)  # 2
            if not batches:
                break
            if 0 < self._config.seconds_limit <= elapsed_s:
                return False
            self._descend(group[:batches], targets, elapsed_s)
            self._at.windows += batches * self._config.batch * self._worker.world
            if save:
                self._save()
        return True

    def _groups(self) -> Iterator[list[SequenceBatch]]:
        """What each step takes, from where the epoch stands; empty at its end."""
        config, device = self._config, self._worker.device
        drawn = self._source.batches(config.batch, config.horizon, self._drawn(self._at.epoch))
        left = islice(drawn, self._at.windows // (config.batch * self._worker.world), None)
        ready = left if device.type == "cpu" else prefetched(left, PREFETCHED)
        while True:
            group = list(islice(ready, config.accumulate))
            yield group
            if not group:
                return

    def _agreed(self, group: list[SequenceBatch]) -> tuple[float, bool, int, list[float]]:
        """Seconds trained, whether to save, batches of this step and (accumulate,) targets of all workers."""
        elapsed_s = time.monotonic() - self._started
        missing = [0.0] * (self._config.accumulate - len(group))
        own = [
            elapsed_s,
            float(self._due()),
            float(len(group)),
            *(float(targets_of(batch)) for batch in group),
            *missing,
        ]
        rows = self._peers.rows(own)  # (W, 3 + accumulate)
        return float(rows[0, 0]), bool(rows[0, 1]), int(rows[:, 2].min()), rows[:, 3:].sum(0).tolist()

    def _descend(self, group: list[SequenceBatch], targets: list[float], elapsed_s: float) -> None:
        """One step of the optimizer: the gradient of the mean loss over the targets of all batches of all workers."""
        config, at, optimizer = self._config, self._at, self._running.optimizer
        share = planned_share(at.step, at.planned, elapsed_s, config.seconds_limit)
        set_rate(optimizer, config.learning_rate, share)
        optimizer.zero_grad(set_to_none=True)
        every = max(sum(targets[: len(group)]), 1.0)
        mean = torch.zeros((), dtype=torch.float64, device=self._worker.device)
        for place, batch in enumerate(group):
            own = targets_of(batch)
            with self._sends_gradients(last=place == len(group) - 1):
                with torch.autocast(self._worker.device.type, torch.bfloat16, enabled=self._autocast):
                    loss = self._step((batch if own else with_a_target(batch)).to(self._worker.device))
                (loss * (own * self._worker.world / every)).backward()  # the workers' gradients are averaged
            mean += loss.detach().double() * (own / every)
        if isinstance(self._step, ShardedStep):
            self._step.average_scalars()
        clip(optimizer)
        optimizer.step()
        at.step += 1
        at.targets += every
        self._loss_sum += mean * every
        if self._observe is not None:
            self._observe(at.step, self._peers.total(float(mean)))
        if self._worker.rank == 0:
            self._progress(f"epoch {at.epoch + 1} of {config.epochs}", min(share, 1.0))

    def _sends_gradients(self, last: bool) -> AbstractContextManager[object]:
        if last or not isinstance(self._step, nn.parallel.DistributedDataParallel):
            return nullcontext()
        return self._step.no_sync()

    def _end_epoch(self, whole: bool) -> None:
        """Counts the epoch, judges it (3), and ends the training where there is nothing left to gain (4)."""
        at = self._at
        learned = at.targets > 0  # where time was up before the first step, the weights were judged already
        if learned:
            at.losses.append(self._peers.total(float(self._loss_sum)) / at.targets)
        at.epoch, at.windows, at.targets = at.epoch + 1, 0, 0.0
        self._loss_sum.zero_()
        if learned:
            self._judge()
        at.elapsed_s = time.monotonic() - self._started
        at.finished = not whole or at.epoch >= self._config.epochs or at.worse >= max(self._config.patience, 1)
        if at.finished:
            if at.worse and self._running.best:
                unwrapped(self._step).load_state_dict(self._running.best)
            self._running.best.clear()
        if self._peers.from_first(lambda: float(at.finished or self._due())):
            self._save()

    def _judge(self) -> None:
        """Validates on worker 0 and keeps the weights if they are the best so far."""
        if self._validate is None:
            return
        settle(self._step)
        loss, at = self._peers.from_first(self._validate), self._at
        if loss < at.best_loss:
            at.best_loss, at.worse = loss, 0
            module = unwrapped(self._step)
            self._running.best.update({name: tensor.clone() for name, tensor in module.state_dict().items()})
        else:
            at.worse += 1

    def _due(self) -> bool:
        states = self._worker.states
        return states is not None and time.monotonic() - self._saved >= states.every_s

    def _save(self) -> None:
        if self._worker.states is None or self._directory is None:
            return
        at = self._at
        at.elapsed_s = time.monotonic() - self._started
        at.loss_sum = self._peers.total(float(self._loss_sum))
        state = state_store.capture(self._running, self._peers, self._worker.device)
        state_store.save(self._directory, state, self._fingerprint(), self._worker.states)
        self._saved = time.monotonic()

    def _fingerprint(self) -> train_state.Fingerprint:
        config = self._config
        return state_store.fingerprint(
            self._step,
            epochs=config.epochs,
            learning_rate=config.learning_rate,
            horizon=config.horizon,
            seed=self._worker.seed,
        )

    def _drawn(self, number: int) -> Epoch:
        return Epoch(self._worker.seed, number, self._worker.rank, self._worker.world)
