"""What each worker of a training runs: read, fit, and (worker 0) write the model and the report.

Worker 0 reads the whole training set. The others read the items' content, and of the interactions only the row groups
of the shards that are dealt to them, a few at a time.

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
from training.batch import Fitted, checkpoint_of, fit, parts
from training.data.archive_set import TrainingSet
from training.data.feature_join import FeatureJoin
from training.data.shard_files import ShardSizes, write_shards
from training.data.shards import ParquetShards
from training.loop_config import LoopConfig, Progress, Worker
from training.model import checkpoint
from training.model.content import ContentTable
from training.progress_file import ProgressFile
from training.recipe import Recipe, read_recipe
from training.run_log import run_log
from training.sharding import ShardedStep
from training.state_store import StateStore
from training.tower_stages import Plan, TowerSources, follow
from training.tower_step import TowerStep

REPORT = "report.json"
FAILURE = "failure.json"
PROGRESS = "progress.jsonl"
CONTENT = "content.pickle"
INTERACTIONS = "interactions.pickle"
SHARDS = ("shards-oldest", "shards-newer", "shards-every")
"""Directories of what the towers learn in each of their three stages."""


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
            plan = plan_of(assignment.settings, rank, world, states)
            if rank == 0:
                _lead(assignment, plan)
            else:
                follow(read_content(assignment.output), open_sources(assignment.output), plan)
    except MillstreamError as error:
        failure = {"error": type(error).__name__, "message": str(error)}
        (assignment.output / FAILURE).write_text(json.dumps(failure))
        raise


def plan_of(settings: Settings, rank: int, world: int, states: StateStore) -> Plan:
    """The plan of one of W workers: together they take steps as large as one alone, so that W does not change them."""
    device, recipe = _device(settings), recipe_of(settings)
    alone = LoopConfig(
        settings.train_epochs,
        learning_rate=recipe.learning_rate,
        seconds_limit=settings.train_seconds_limit,
        accumulate=settings.train_accumulate,
        precision=settings.train_precision,
    )
    return Plan(
        recipe=recipe,
        loop=replace(alone, batch=-(-alone.batch // world)),
        worker=Worker(device, rank, world, settings.seed, states),
        wrap=_as_it_is if world == 1 else partial(wrapped, sharding=settings.train_sharding, device=device),
    )


def recipe_of(settings: Settings) -> Recipe:
    """The recipe of a batch training. Raises BadFile."""
    return read_recipe(settings.train_recipe, width=settings.model_width)


def wrapped(step: TowerStep, sharding: str, device: torch.device) -> nn.Module:
    """A step for several workers: "replicate" keeps all parameters on each, "shard" spreads them."""
    if sharding == "shard":
        return ShardedStep(step, device)
    return nn.parallel.DistributedDataParallel(step.to(device), find_unused_parameters=True)


def write_training_set(output: Path, training_set: TrainingSet, settings: Settings) -> None:
    """Leaves the training set to the workers: all train on the same one, however the archive grows meanwhile.

    Content and interactions lie apart, so that a worker may read the content alone. Where there may be several workers,
    what the towers learn in each stage lies in shards too: nothing is in them that the stage may not learn.
    """
    _dump(output / CONTENT, training_set.table)
    _dump(output / INTERACTIONS, (training_set.users, training_set.shown, training_set.examples))
    _, most = settings.train_worker_range
    if most > 1:
        for directory, part in zip(SHARDS, parts(training_set), strict=True):
            sizes = ShardSizes.for_workers(len(part.users), most)
            write_shards(output / directory, part.users, sizes, settings.seed)


def read_training_set(output: Path) -> TrainingSet:
    """What the driver has left: the whole of it."""
    return TrainingSet(read_content(output), *_load(output / INTERACTIONS))


def read_content(output: Path) -> ContentTable:
    """Content of all items, as the driver has left it."""
    table: ContentTable = _load(output / CONTENT)
    return table


def open_sources(output: Path) -> TowerSources:
    """The shards that the driver has left. Raises BadFile where a set of them is not whole."""
    return TowerSources(*(ParquetShards(output / directory) for directory in SHARDS))


def _lead(assignment: Assignment, plan: Plan) -> None:
    output = assignment.output
    training_set = assignment.training_set or read_training_set(output)
    progress = assignment.progress or ProgressFile(output / PROGRESS)
    sources = open_sources(output) if assignment.settings.train_worker_range[1] > 1 else None
    log = run_log(assignment.settings.state_dir, output.name, plan.worker.rank)
    with closing(log):
        fitted = fit(training_set, assignment.join, replace(plan, log=log), progress, sources)
    _write(output, fitted, training_set)


def _dump(path: Path, value: object) -> None:
    with path.open("wb") as file:
        pickle.dump(value, file, protocol=pickle.HIGHEST_PROTOCOL)


def _load(path: Path) -> Any:
    with path.open("rb") as file:
        return pickle.load(file)  # noqa: S301 - the run's own file


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
