"""Which version directories stay: those announced last, what is served and learned from, and the way back for a person.

A version counts only once it was announced. One that never was is young (its publication is under way, or failed a
moment ago) or left over: a batch version stays a day for a person to look at, one of the learner's an hour.
"""

from collections.abc import Collection

from contracts.errors import BadCheckpoint, NoModel
from contracts.ids import ModelVersion
from contracts.versions import PublishedVersion
from feature_repo.model_store import ModelStore

KEPT = 5
KEPT_ON_A_FULL_DISK = 2
KEPT_UNACKNOWLEDGED = 2
UNANNOUNCED_S = {"batch": 86400.0, "incremental": 3600.0}
"""How long a version that was never announced stays unchanged before it is removed, by its origin."""


class Unacknowledged:
    """Versions whose announcement was not acknowledged.

    It may be on the log all the same: the newest ones stay until a later version, which is loaded then, is announced.

    Args:
        store: The versions.
    """

    def __init__(self, store: ModelStore):
        self._store = store
        self._versions: list[ModelVersion] = []

    def add(self, version: ModelVersion) -> None:
        """Its announcement has failed; the newest `KEPT_UNACKNOWLEDGED` stay."""
        self._versions.append(version)
        while len(self._versions) > KEPT_UNACKNOWLEDGED:
            self._store.remove(self._versions.pop(0))

    def overtaken(self) -> None:
        """A later version was announced: none of them is needed any more."""
        while self._versions:
            self._store.remove(self._versions.pop())


def retire(store: ModelStore, keep: int = KEPT, spared: Collection[ModelVersion] = ()) -> list[ModelVersion]:
    """Removes what need not stay; returns it.

    Args:
        store: The versions.
        keep: How many of those announced last stay.
        spared: What stays whatever else is there: the versions served and learned from.
    """
    announced = store.announced()
    stay = {*announced[-keep:], *spared, *_newest_batch(store, announced)}
    removed = [
        version
        for version in store.versions()
        if version not in stay and (version in announced or _left_over(store, version))
    ]
    for version in removed:
        store.remove(version)
    return removed


def _left_over(store: ModelStore, version: ModelVersion) -> bool:
    manifest = _manifest(store, version)
    limit_s = UNANNOUNCED_S["batch" if manifest is None else manifest.origin]
    return store.unchanged_s(version) >= limit_s


def _newest_batch(store: ModelStore, announced: list[ModelVersion]) -> set[ModelVersion]:
    for version in reversed(announced):
        manifest = _manifest(store, version)
        if manifest is not None and manifest.origin == "batch":
            return {version}
    return set()


def _manifest(store: ModelStore, version: ModelVersion) -> PublishedVersion | None:
    try:
        return store.manifest(version)
    except (BadCheckpoint, NoModel):
        return None
