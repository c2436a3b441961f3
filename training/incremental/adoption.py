"""Which version the learner goes on from: the log's last one at a start, later another batch version alone.

A version that cannot be loaded is tried a few times, for its directory may reach this machine after its announcement.
A learner that has nothing yet then falls back to the newest version of the store that can be loaded.
"""

import logging
from datetime import datetime, timedelta

from contracts.clock import Clock
from contracts.errors import ModelError, NoModel
from contracts.examples import TrainingExample
from contracts.ids import ModelVersion
from contracts.versions import PublishedVersion
from feature_repo.model_store import ModelStore
from training import remembered
from training.incremental.catalogue import Catalogue
from training.incremental.line import Start
from training.incremental.metrics import LearnerMetrics
from training.model import checkpoint

log = logging.getLogger(__name__)

ATTEMPTS = 3
RETRY_AFTER = timedelta(seconds=2)


class Adoption:
    """Chooses and loads; remembers what cannot be loaded.

    Args:
        store: The versions.
        metrics: Counts what fails.
        clock: Now, for the time between two attempts.
    """

    def __init__(self, store: ModelStore, metrics: LearnerMetrics, clock: Clock) -> None:
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._tried: ModelVersion | None = None
        self._attempts = 0
        self._tried_at: datetime | None = None

    def next(self, catalogue: Catalogue, root: ModelVersion | None, learning: bool) -> Start | None:
        """The version to go on from now, loaded; None where there is none, or the present line goes on.

        Args:
            catalogue: Knows what was announced.
            root: The batch version of the present line.
            learning: Whether there is a line: then only another batch version replaces it.
        """
        wanted = catalogue.batch if learning else catalogue.announced
        if wanted is None or (learning and wanted.version == root):
            return None
        if wanted.version != self._tried:
            self._tried, self._attempts, self._tried_at = wanted.version, 0, None
        now = self._clock()
        if self._attempts >= ATTEMPTS or (self._tried_at is not None and now - self._tried_at < RETRY_AFTER):
            return None
        self._attempts, self._tried_at = self._attempts + 1, now
        loaded = self._loaded(wanted.version)
        if loaded is not None:
            return loaded
        if learning or self._attempts < ATTEMPTS:
            return None
        return self._newest_loadable(wanted.version)

    def _newest_loadable(self, gone: ModelVersion) -> Start | None:
        for version in reversed(self._store.announced()):
            found = self._loaded(version) if version != gone else None
            if found is not None:
                log.error("version %s, announced last, cannot be loaded: going on from %s", gone, version)
                return found
        return None

    def _loaded(self, version: ModelVersion) -> Start | None:
        try:
            manifest = self._store.manifest(version)
            return Start(manifest, checkpoint.load(self._store.path(version)), self._kept(manifest))
        except ModelError as error:
            log.error("cannot learn from version %s: %s", version, error)
            self._metrics.failures.labels(error.reason).inc()
            return None

    def _kept(self, version: PublishedVersion) -> tuple[TrainingExample, ...]:
        try:
            return () if version.line is None else remembered.load(self._store.path(version.line))
        except NoModel:
            log.warning("the root %s of version %s is gone, and its examples with it", version.line, version.version)
            return ()
