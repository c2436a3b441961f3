"""What each worker of a training runs: read, fit, and (worker 0) write the model and the report.

States travel by Ray's checkpoints: worker 0 reports its directory of states after each save, and the workers of a
restarted group begin with a copy of the newest one. W workers.
"""

import json
import pickle
import shutil
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from contracts.errors import MillstreamError
from contracts.settings import Settings
from training.batch import Fitted, Plan, checkpoint_of, fit
from training.data.archive_set import TrainingSet
from training.data.head_rows import FeatureJoin
from training.loop_config import LoopConfig, Progress, Worker
from training.model import checkpoint
from training.progress_file import ProgressFile
from training.run_log import run_log
from training.sharding import ShardedStep
from training.state_store import StateStore
from training.tower_step import TowerStep

REPORT = "report.json"
FAILURE = "failure.json"
PROGRESS = "progress.json"
TRAINING_SET = "training-set.pickle"


@dataclass(frozen=True)
class Assignment:
    """What a worker is given.

    Attributes:
        settings: Device, epochs, width, precision, sharding, seed.
        join: The point-in-time join.
        output: A directory that all workers and the driver see.
        training_set: What to train on; None to read it from `output`, where the driver has put it.
        states: Where a training in one process keeps its states.
        progress: Called by a training in one process; None for a file in `output`.
    """

    settings: Settings
    join: FeatureJoin
    output: Path
    training_set: TrainingSet | None = None
    states: Path | None = None
    progress: Progress | None = None


def work(config: dict[str, Any] | None = None, *, assignment: Assignment) -> None:
    """Runs in each worker.

    Raises:
        MillstreamError: also written to `output`, so that the driver raises it, and a restarted group does not repeat
            what fails again.
    """
    from ray import train as ray_train

    context = ray_train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    if (assignment.output / FAILURE).exists():
        return
    try:
        with tempfile.TemporaryDirectory(prefix="millstream-states-") as scratch:
            states = _states(assignment, rank, Path(scratch))
            training_set = assignment.training_set or read_training_set(assignment.output)
            progress = assignment.progress or ProgressFile(assignment.output / PROGRESS)
            log = run_log(assignment.settings.state_dir, assignment.output.name, rank)
            plan = replace(plan_of(assignment.settings, rank, world, states), log=log)
            with closing(log):
                fitted = fit(training_set, assignment.join, plan, progress)
            if rank == 0:
                _write(assignment.output, fitted, training_set)
    except MillstreamError as error:
        failure = {"error": type(error).__name__, "message": str(error)}
        (assignment.output / FAILURE).write_text(json.dumps(failure))
        raise


def plan_of(settings: Settings, rank: int, world: int, states: StateStore) -> Plan:
    """The plan of one of W workers: together they take steps as large as one alone, so that W does not change them."""
    device = _device(settings)
    alone = LoopConfig(
        settings.train_epochs,
        seconds_limit=settings.train_seconds_limit,
        accumulate=settings.train_accumulate,
        precision=settings.train_precision,
    )
    return Plan(
        width=settings.model_width,
        loop=replace(alone, batch=-(-alone.batch // world)),
        worker=Worker(device, rank, world, settings.seed, states),
        wrap=_as_it_is if world == 1 else partial(wrapped, sharding=settings.train_sharding, device=device),
    )


def wrapped(step: TowerStep, sharding: str, device: torch.device) -> nn.Module:
    """A step for several workers: "replicate" keeps all parameters on each, "shard" spreads them."""
    if sharding == "shard":
        return ShardedStep(step, device)
    return nn.parallel.DistributedDataParallel(step.to(device), find_unused_parameters=True)


def write_training_set(output: Path, training_set: TrainingSet) -> None:
    """Leaves the training set to the workers: all train on the same one, however the archive grows meanwhile."""
    with (output / TRAINING_SET).open("wb") as file:
        pickle.dump(training_set, file, protocol=pickle.HIGHEST_PROTOCOL)


def read_training_set(output: Path) -> TrainingSet:
    """What the driver has left."""
    with (output / TRAINING_SET).open("rb") as file:
        training_set: TrainingSet = pickle.load(file)  # noqa: S301 - the run's own file
    return training_set


def _states(assignment: Assignment, rank: int, scratch: Path) -> StateStore:
    """The states of an own directory, or those of the newest checkpoint that Ray has of this run."""
    from ray import train as ray_train

    every_s = assignment.settings.train_state_every_s
    if assignment.states is not None:
        return StateStore(assignment.states, every_s)
    newest = ray_train.get_checkpoint()
    if newest is not None:
        with newest.as_directory() as kept:
            shutil.copytree(kept, scratch, dirs_exist_ok=True)
    return StateStore(scratch, every_s, _reports(rank, scratch))


def _reports(rank: int, directory: Path) -> Callable[[], None]:
    from ray import train as ray_train

    def report() -> None:
        ray_train.report({}, checkpoint=ray_train.Checkpoint.from_directory(str(directory)) if rank == 0 else None)

    return report


def _write(output: Path, fitted: Fitted, training_set: TrainingSet) -> None:
    checkpoint.save(output, checkpoint_of(fitted.model, training_set))
    towers = asdict(fitted.towers)
    own = {"tower_loss": towers["losses"][-1], "tower_s": towers["seconds"], "tower_steps": towers["steps"]}
    report = {
        "metrics": fitted.evaluation.as_metrics() | own,
        "evaluation": fitted.evaluation.as_json(),
        "data_from_ms": training_set.data_from_ms,
        "data_to_ms": training_set.data_to_ms,
        "examples": training_set.examples,
        "resumed_at": towers["resumed_at"],
    }
    (output / REPORT).write_text(json.dumps(report))


def _device(settings: Settings) -> torch.device:
    if settings.train_device == "cpu":
        return torch.device("cpu")
    from ray.train.torch import get_device

    device: torch.device = get_device()
    return device


def _as_it_is(step: TowerStep) -> nn.Module:
    return step
