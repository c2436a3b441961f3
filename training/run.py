"""The two commands of batch training: `train` publishes a version, `evaluate` only measures one."""

import subprocess
from pathlib import Path

from contracts.clock import from_ms, utc_now
from contracts.ids import ModelVersion, time_ordered_id
from contracts.settings import Settings
from contracts.versions import PublishedVersion
from eventlog.producer import KafkaLog
from feature_repo.historical import point_in_time
from feature_repo.model_store import ModelStore
from feature_repo.vector_index import MilvusIndex
from training.distributed import Source, Trained, archive_source
from training.distributed import train as train_distributed
from training.evaluation.report import Evaluation
from training.evaluation.written import write
from training.loop import Progress
from training.model.features import HEAD_FEATURES
from training.publish import IndexedVectors, Shelves, publish


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
    trained = train_distributed(settings, archive_source(settings, point_in_time), progress)
    log = KafkaLog(settings.bootstrap, "train")
    index = MilvusIndex(settings.vectors_uri, settings.milvus_token.get_secret_value())
    try:
        return publish_trained(trained, Shelves(ModelStore(settings.models_dir), index, log))
    finally:
        index.close()
        log.close()


def publish_trained(trained: Trained, shelves: Shelves) -> PublishedVersion:
    """Publishes what a batch training gave; every item vector is written."""
    now = utc_now()
    version = PublishedVersion(
        version=ModelVersion(time_ordered_id("v", now)),
        parent=None,
        origin="batch",
        created_at=now,
        data_from=from_ms(trained.data_from_ms),
        data_to=from_ms(trained.data_to_ms),
        examples=trained.examples,
        features=HEAD_FEATURES,
        git_revision=git_revision(Path(__file__).parent),
        metrics=trained.metrics,
    )
    publish(version, trained.model, shelves, IndexedVectors())
    return version


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
    trained = train_distributed(settings, source or archive_source(settings, point_in_time), progress)
    evaluation = Evaluation.from_json(trained.evaluation)
    write(evaluation, output)
    return evaluation


def git_revision(directory: Path) -> str:
    """The revision of the checkout that a directory lies in; "unknown" outside one."""
    command = ["git", "-C", str(directory), "rev-parse", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=5)  # noqa: S603 - constant command
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return found.stdout.strip() if found.returncode == 0 else "unknown"
