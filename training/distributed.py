"""Ray Train around the batch training: one worker in this process, or many with gloo on CPUs and NCCL on GPUs.

1. The driver reads the training set once and leaves it, with everything that comes back, in the run's directory, which
   workers on other machines must see too.
2. Each worker runs `training/ray_worker.py`; worker 0 says how far it is, saves states and writes the model.
3. A worker that dies takes its group with it; Ray starts the group again, as large as there is room for, and it goes
   on from the newest state.
4. The driver reads the model, or raises what a worker raised.

A run's name is unique: Ray resumes a name that it has seen.
"""

import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from contracts import errors
from contracts.clock import utc_now
from contracts.errors import MillstreamError
from contracts.examples import TrainingExample
from contracts.ids import time_ordered_id
from contracts.settings import Settings
from training import ray_worker
from training.data.archive_set import TrainingSet, read
from training.data.archived_log import archive_join
from training.data.feature_join import FeatureJoin
from training.loop_config import Progress
from training.model import checkpoint
from training.model.checkpoint import Checkpoint
from training.progress_file import followed
from training.ray_worker import Assignment
from training.remembered import remembered

MAX_FAILURES = 3
"""Worker groups lost before a run is given up; each goes on from the newest state."""

STATES_KEPT = 2


@dataclass(frozen=True)
class Trained:
    """What a run gives: the model, where its files lie, the metrics and the range of event times (ms).

    `resumed_at` are the steps of the first stage at which a run went on after it had lost its workers. `kept` are
    examples for the learner, and `newest_ms` is the event time of the newest example of any kind.
    """

    model: Checkpoint
    metrics: dict[str, float]
    evaluation: str
    data_from_ms: int
    data_to_ms: int
    examples: int
    resumed_at: tuple[int, ...] = ()
    kept: tuple[TrainingExample, ...] = ()
    newest_ms: int = 0


@dataclass(frozen=True)
class Source:
    """Where a training gets its examples, called once, and its features: the join is called in the first worker."""

    read: Callable[[], TrainingSet]
    join: FeatureJoin


def archive_source(settings: Settings) -> Source:
    """The archive of the given settings: its examples, and its events for the features."""
    return Source(partial(read, settings.archive_dir, settings.id_rows), archive_join(settings))


def train(settings: Settings, source: Source, progress: Progress) -> Trained:
    """Runs a batch training under Ray Train; `settings.train_workers` of 0 is this process, without a cluster.

    Args:
        settings: Workers, device, epochs, width, seed and time limit.
        source: Examples and features.
        progress: Called as the training goes on, with several workers from another thread.

    Raises:
        NotEnoughData: too few examples; raised before any worker starts.
        MillstreamError: what a worker raised.
    """
    training_set = source.read()  # 1
    runs = (settings.state_dir / "train-runs").absolute()
    output = runs / f"{time_ordered_id('run', utc_now())}-{secrets.token_hex(2)}"
    output.mkdir(parents=True)
    if settings.train_worker_range == (0, 0):
        with own_states(runs, key_of(settings, training_set)) as states:
            _fit(settings, Assignment(settings, source.join, output, training_set, states, progress))
    else:
        ray_worker.write_training_set(output, training_set, settings)
        with cluster(settings), followed(output / ray_worker.PROGRESS, progress):
            _fit(settings, Assignment(settings, source.join, output))
    report = json.loads((output / ray_worker.REPORT).read_text())  # 4
    trained = Trained(
        model=checkpoint.load(output),
        kept=remembered(training_set, settings.seed),
        newest_ms=training_set.newest_ms,
        **{**report, "resumed_at": tuple(report["resumed_at"])},
    )
    shutil.rmtree(output, ignore_errors=True)  # a run that failed stays, to be looked at
    return trained


def _fit(settings: Settings, assignment: Assignment) -> None:
    """Runs the workers (2, 3). Raises what one of them raised, where it is one of ours."""
    from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    fewest, most = settings.train_worker_range
    trainer = TorchTrainer(
        partial(ray_worker.work, assignment=assignment),
        torch_config=TorchConfig(backend="nccl" if settings.train_device == "cuda" else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=most if fewest == most else (fewest, most), use_gpu=settings.train_device == "cuda"
        ),
        run_config=RunConfig(
            name="ray",
            storage_path=str(assignment.output),
            failure_config=FailureConfig(max_failures=0 if most == 0 else MAX_FAILURES),
            checkpoint_config=CheckpointConfig(num_to_keep=STATES_KEPT),
        ),
    )
    failure = assignment.output / ray_worker.FAILURE
    try:
        trainer.fit()
    except Exception as error:
        if not isinstance(error, MillstreamError) and failure.exists():
            raise _named(failure) from error
        raise
    if failure.exists():
        raise _named(failure)


def _named(failure: Path) -> MillstreamError:
    said = json.loads(failure.read_text())
    kind = getattr(errors, said["error"], MillstreamError)
    error: MillstreamError = kind(said["message"])
    return error


@contextmanager
def cluster(settings: Settings) -> Iterator[None]:
    """A Ray to run workers on: the one of `ray_address`, the one that this process is in, or one of its own."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not settings.ray_address:
        # Despite its name it works on Linux too: Ray's own servers then bind to loopback, not to all interfaces.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    import ray

    if ray.is_initialized():
        yield
        return
    if settings.ray_address:
        ray.init(address=settings.ray_address, log_to_driver=False)
    else:
        ray.init(address="local", include_dashboard=False, log_to_driver=False)
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def own_states(runs: Path, key: str) -> Iterator[Path]:
    """The directory of states of a training in one process: an interrupted one of the same key has left its own there.

    It is removed once the training ends. Those of other keys are removed too, unless their training still runs; a
    second training of the same key at the same time gets a directory of its own.
    """
    runs.mkdir(parents=True, exist_ok=True)
    directory = runs / f"states-{key}"
    for other in runs.glob("states-*"):
        if other != directory:
            _remove_unless_used(other)
    directory.mkdir(exist_ok=True)
    opened = _locked(directory)
    if opened is None:
        directory = runs / f"states-{key}-{secrets.token_hex(4)}"
        directory.mkdir()
        opened = _locked(directory)
    try:
        yield directory
        shutil.rmtree(directory, ignore_errors=True)
    finally:
        if opened is not None:
            os.close(opened)


def key_of(settings: Settings, training_set: TrainingSet) -> str:
    """Names a training by all that decides its outcome: settings, recipe and interactions. Raises BadFile."""
    chosen = {
        name: str(value)
        for name, value in settings.model_dump().items()
        if name.startswith(("train_", "model_")) or name == "id_rows"
    }
    recipe = ray_worker.recipe_of(settings).model_dump_json()
    words = json.dumps([chosen, recipe, settings.seed, training_set.fingerprint()], sort_keys=True)
    return hashlib.sha256(words.encode()).hexdigest()[:16]


def _remove_unless_used(directory: Path) -> None:
    opened = _locked(directory)
    if opened is not None:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(opened)


def _locked(directory: Path) -> int | None:
    """Locks a directory for this process; None where another has it."""
    opened = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(opened)
        return None
    return opened
