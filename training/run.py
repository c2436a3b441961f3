"""The two commands of batch training: `train` publishes a version, `evaluate` only measures one."""

import logging
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from contracts.clock import from_ms, utc_now
from contracts.errors import LogUnavailable, Unavailable
from contracts.examples import TrainingExample
from contracts.ids import ModelVersion, time_ordered_id
from contracts.settings import Settings
from contracts.topics import FEEDBACK
from contracts.versions import PublishedVersion
from eventlog.lag import committed_offsets
from eventlog.producer import KafkaLog
from feature_repo.model_store import ModelStore
from feature_repo.vector_index import MilvusIndex
from training.distributed import Source, Trained, archive_source
from training.distributed import train as train_distributed
from training.evaluation.report import Evaluation
from training.evaluation.written import write as write_evaluation
from training.loop import Progress
from training.model.checkpoint import Checkpoint
from training.model.features import HEAD_FEATURES
from training.publish import IndexedVectors, Shelves, announce, index, write

log = logging.getLogger(__name__)

PATIENCE = 60
PATIENCE_S = 300.0
"""How often, and over how long, a trained version is offered to a store that is away."""


def train(settings: Settings, progress: Progress) -> PublishedVersion:
    """Trains on the archive and publishes the version.

    Args:
        settings: Addresses and sizes.
        progress: Called with what is being done and the share done.

    Returns:
        The published version; its `metrics` hold the evaluation on a time split.

    Raises:
        NotEnoughData: too few examples in the archive.
        VectorsUnavailable, LogUnavailable: the version could not be published.
    """
    feedback_to = archived_feedback(settings)  # before the archive is read: what it names is in there
    trained = train_distributed(settings, archive_source(settings), progress)
    producer = KafkaLog(settings.bootstrap, "train")
    vectors = MilvusIndex(settings.vectors_uri, settings.milvus_token.get_secret_value())
    try:
        return publish_trained(trained, Shelves(ModelStore(settings.models_dir), vectors, producer), feedback_to)
    finally:
        vectors.close()
        producer.close()


def archived_feedback(settings: Settings) -> dict[int, int] | None:
    """By partition, up to which offset the archive holds the examples; None where the log does not tell."""
    try:
        return committed_offsets(settings.bootstrap, f"{settings.app_id}-archive", FEEDBACK)
    except LogUnavailable as error:
        log.warning("which examples the archive holds is not known, their times decide instead: %s", error)
        return None


def publish_trained(trained: Trained, shelves: Shelves, feedback_to: dict[int, int] | None = None) -> PublishedVersion:
    """Publishes what a batch training gave; every item vector is written."""
    now = utc_now()
    version = PublishedVersion(
        version=ModelVersion(time_ordered_id("v", now)),
        parent=None,
        origin="batch",
        created_at=now,
        data_from=from_ms(trained.data_from_ms),
        data_to=from_ms(trained.data_to_ms),
        covered_to=from_ms(max(trained.data_to_ms, trained.newest_ms)),
        feedback_to=feedback_to,
        examples=trained.examples,
        features=HEAD_FEATURES,
        git_revision=git_revision(Path(__file__).parent),
        metrics=trained.metrics,
    )
    publish_patiently(version, trained.model, shelves, trained.kept)
    return version


def publish_patiently(
    version: PublishedVersion,
    model: Checkpoint,
    shelves: Shelves,
    kept: Sequence[TrainingExample] = (),
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Publishes what took long to train: a store that is away is waited for, and the directory stays if it stays away.

    Args:
        version: The manifest.
        model: What its directory holds.
        shelves: Where it goes.
        kept: Examples for the learner.
        wait: Waits for so many seconds.

    Raises:
        CheckpointNotSaved: the disk is full or away.
        VectorsUnavailable, LogUnavailable: still away after `PATIENCE` attempts; the version is whole on the disk.
    """
    write(version, model, shelves, kept)
    indexed, left = IndexedVectors(), PATIENCE
    while True:
        try:
            index(version, model, shelves, indexed)
            announce(version, shelves)
        except Unavailable as error:
            left -= 1
            if not left:
                raise
            log.warning("version %s is not published yet, trying again: %s", version.version, error)
            wait(PATIENCE_S / PATIENCE)
        else:
            return


def evaluate(settings: Settings, output: Path, progress: Progress, source: Source | None = None) -> Evaluation:
    """Trains on the older part of the archive, tests on the newest, and writes the comparison; publishes nothing.

    Args:
        settings: As for `train`.
        output: Directory of `evaluation.json` and `evaluation.md`.
        progress: As for `train`.
        source: Examples and features; the archive's when None.

    Returns:
        The model beside both baselines, and whether it beats them.
    """
    trained = train_distributed(settings, source or archive_source(settings), progress)
    evaluation = Evaluation.from_json(trained.evaluation)
    write_evaluation(evaluation, output)
    return evaluation


def git_revision(directory: Path) -> str:
    """The revision of the checkout that a directory lies in; "unknown" outside one."""
    command = ["git", "-C", str(directory), "rev-parse", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=5)  # noqa: S603 - constant command
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return found.stdout.strip() if found.returncode == 0 else "unknown"
