"""Which version directories stay: the newest few, and always the newest batch version, the way back for a person."""

import shutil

from contracts.errors import BadCheckpoint, NoModel
from contracts.ids import ModelVersion
from feature_repo.model_store import ModelStore

KEPT = 5


def retire(store: ModelStore, keep: int = KEPT) -> list[ModelVersion]:
    """Removes all but the newest `keep` versions and the newest batch version; returns those removed."""
    versions = store.versions()
    spared = set(versions[-keep:]) | _newest_batch(store, versions)
    removed = [version for version in versions if version not in spared]
    for version in removed:
        shutil.rmtree(store.path(version), ignore_errors=True)
    return removed


def _newest_batch(store: ModelStore, versions: list[ModelVersion]) -> set[ModelVersion]:
    for version in reversed(versions):
        try:
            if store.manifest(version).origin == "batch":
                return {version}
        except (BadCheckpoint, NoModel):
            continue
    return set()
