"""Ray Train around the batch training: one worker in this process, or many with gloo on CPUs and NCCL on GPUs.

Every worker reads the archive itself. Gradients are averaged by `DistributedDataParallel`; worker 0 alone writes the
checkpoint, which is the only thing that comes back. A run's name is unique: Ray resumes a name that it has seen.
"""

import json
import secrets
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from contracts.clock import utc_now
from contracts.ids import time_ordered_id
from contracts.settings import Settings
from training.batch import Fitted, Plan, checkpoint_of, fit
from training.data.archive_set import TrainingSet, read
from training.data.head_rows import FeatureJoin
from training.loop import LoopConfig, Progress, Worker
from training.model import checkpoint
from training.model.checkpoint import Checkpoint
from training.tower_step import TowerStep

MAX_FAILURES = 2
"""Workers lost before a run is given up; the run starts again from its beginning, which takes seconds."""

REPORT = "report.json"


@dataclass(frozen=True)
class Trained:
    """What a run gives: the model, where its files lie, the metrics and the range of event times (ms)."""

    model: Checkpoint
    metrics: dict[str, float]
    evaluation: str
    data_from_ms: int
    data_to_ms: int
    examples: int


@dataclass(frozen=True)
class Source:
    """Where workers get their examples and features; called in each worker, so it must be picklable for several."""

    read: Callable[[], TrainingSet]
    join: FeatureJoin


def archive_source(settings: Settings, join: Callable[[Settings, Any], Any]) -> Source:
    """The archive and the point-in-time join of the given settings."""
    return Source(partial(read, settings.archive_dir), partial(join, settings))


def train(settings: Settings, source: Source, progress: Progress) -> Trained:
    """Runs a batch training under Ray Train; `settings.train_workers` of 0 is this process, without a cluster.

    Args:
        settings: Workers, device, epochs, width, seed and time limit.
        source: Examples and features.
        progress: Called as the training goes on; with several workers only at its beginning and end.

    Raises:
        NotEnoughData: too few examples; raised before any worker starts when there is one process.
    """
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    runs = (settings.state_dir / "train-runs").absolute()
    name = f"{time_ordered_id('run', utc_now())}-{secrets.token_hex(2)}"
    output = runs / f"{name}-checkpoint"
    output.mkdir(parents=True)
    alone = settings.train_workers == 0
    trainer = TorchTrainer(
        partial(_worker, settings=settings, source=source, output=output, progress=progress if alone else _silent),
        torch_config=TorchConfig(backend="nccl" if settings.train_device == "cuda" else "gloo"),
        scaling_config=ScalingConfig(num_workers=settings.train_workers, use_gpu=settings.train_device == "cuda"),
        run_config=RunConfig(
            name=name, storage_path=str(runs), failure_config=FailureConfig(max_failures=0 if alone else MAX_FAILURES)
        ),
    )
    trainer.fit()
    report = json.loads((output / REPORT).read_text())
    trained = Trained(model=checkpoint.load(output), **report)
    for directory in (output, runs / name):  # a run that failed stays, to be looked at
        shutil.rmtree(directory, ignore_errors=True)
    return trained


def _worker(
    config: dict[str, Any] | None = None,
    *,
    settings: Settings,
    source: Source,
    output: Path,
    progress: Progress,
) -> None:
    """What each worker runs: read, fit, and (worker 0) save."""
    from ray import train as ray_train

    context = ray_train.get_context()
    training_set = source.read()
    plan = Plan(
        width=settings.model_width,
        loop=LoopConfig(settings.train_epochs, seconds_limit=settings.train_seconds_limit),
        worker=Worker(_device(settings), context.get_world_rank(), context.get_world_size(), settings.seed),
        wrap=_wrapped if context.get_world_size() > 1 else _as_it_is,
    )
    fitted = fit(training_set, source.join, plan, progress)
    if context.get_world_rank() == 0:
        checkpoint.save(output, checkpoint_of(fitted.model, training_set))
        (output / REPORT).write_text(json.dumps(_report(fitted, training_set)))
        ray_train.report(fitted.evaluation.as_metrics(), checkpoint=ray_train.Checkpoint.from_directory(str(output)))
    else:
        ray_train.report({})


def _report(fitted: Fitted, training_set: TrainingSet) -> dict[str, Any]:
    towers = asdict(fitted.towers)
    return {
        "metrics": fitted.evaluation.as_metrics() | {"tower_loss": towers["losses"][-1], "tower_s": towers["seconds"]},
        "evaluation": fitted.evaluation.as_json(),
        "data_from_ms": training_set.data_from_ms,
        "data_to_ms": training_set.data_to_ms,
        "examples": training_set.examples,
    }


def _device(settings: Settings) -> torch.device:
    if settings.train_device == "cpu":
        return torch.device("cpu")
    from ray.train.torch import get_device

    device: torch.device = get_device()
    return device


def _as_it_is(step: TowerStep) -> nn.Module:
    return step


def _wrapped(step: TowerStep) -> nn.Module:
    return nn.parallel.DistributedDataParallel(step, find_unused_parameters=True)


def _silent(what: str, share: float) -> None:
    """Progress of a worker in another process: its log has it."""
