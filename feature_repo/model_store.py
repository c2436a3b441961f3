"""Model versions as directories: written whole or not at all.

Publishing a version:
1. Weights are saved into a hidden directory beside the versions and synced to disk.
2. `manifest.json` is written last, and synced.
3. One rename makes the directory visible under the version's name.
A directory without a readable manifest is no version; what a crash left behind is swept at the next `write`.
"""

import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from contracts.errors import BadCheckpoint, MillstreamError, NoModel
from contracts.ids import ModelVersion
from contracts.versions import PublishedVersion
from contracts.wire import decode

MANIFEST = "manifest.json"
PARTIAL = ".partial-"


class ModelStore:
    """Versions in one directory; one writer a version, any number of readers.

    Args:
        directory: Made at the first `write`.
    """

    def __init__(self, directory: Path):
        self._directory = directory

    def write(self, version: PublishedVersion, save: Callable[[Path], None]) -> Path:
        """Publishes a version.

        Args:
            version: Its manifest; `version.version` names the directory.
            save: Writes the files of the version into the directory that it is given.

        Returns:
            The directory of the version.

        Raises:
            BadCheckpoint: the version is there already, or its name is no plain directory name.
        """
        target = self._named(version.version)
        if target.exists():
            raise BadCheckpoint(
                f"found the version {version.version!r} in {self._directory} already; expected a new name"
            )
        self._directory.mkdir(parents=True, exist_ok=True)
        self._sweep()
        partial = self._directory / f"{PARTIAL}{os.getpid()}-{secrets.token_hex(4)}"
        partial.mkdir()
        try:
            save(partial)
            for path in sorted(partial.rglob("*")):
                _sync(path)
            manifest = partial / MANIFEST
            manifest.write_text(version.model_dump_json(indent=2))
            _sync(manifest)
            _sync(partial)
            partial.rename(target)
            _sync(self._directory)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        return target

    def path(self, version: ModelVersion) -> Path:
        """The directory of a published version.

        Raises:
            NoModel: it is not in the store.
        """
        path = self._named(version)
        if not (path / MANIFEST).is_file():
            there = [*self.versions()][-5:]
            raise NoModel(
                f"found no version {version!r} in {self._directory}; expected one of {there} (the newest five)"
            )
        return path

    def manifest(self, version: ModelVersion) -> PublishedVersion:
        """The manifest of a published version.

        Raises:
            NoModel: it is not in the store.
            BadCheckpoint: its manifest cannot be read.
        """
        path = self.path(version)
        try:
            return decode(PublishedVersion, (path / MANIFEST).read_bytes())
        except (MillstreamError, OSError) as error:
            raise BadCheckpoint(
                f"found an unreadable manifest in {path} ({error}); expected a PublishedVersion"
            ) from error

    def versions(self) -> list[ModelVersion]:
        """All published versions, oldest first."""
        return sorted(ModelVersion(path.parent.name) for path in self._directory.glob(f"[!.]*/{MANIFEST}"))

    def latest(self) -> PublishedVersion | None:
        """The newest version whose manifest can be read; None when there is none."""
        for version in reversed(self.versions()):
            try:
                return self.manifest(version)
            except (BadCheckpoint, NoModel):
                continue
        return None

    def prune(self, keep: int) -> list[ModelVersion]:
        """Removes all but the newest `keep` versions, and returns those removed.

        A reader that is loading a removed version sees BadCheckpoint or a missing file: keep a few.
        """
        if keep < 1:
            raise ValueError(f"found keep={keep}; expected at least 1: the served version must stay")
        removed = self.versions()[:-keep]
        for version in removed:
            # Hidden first, so that no reader finds a version that is half gone.
            doomed = self._directory / f"{PARTIAL}{os.getpid()}-{secrets.token_hex(4)}"
            self._named(version).rename(doomed)
            shutil.rmtree(doomed)
        return removed

    def _named(self, version: ModelVersion) -> Path:
        if not version or version.startswith(".") or Path(version).name != version:
            raise BadCheckpoint(f"found the version name {version!r}; expected a plain directory name")
        return self._directory / version

    def _sweep(self) -> None:
        for left in self._directory.glob(f"{PARTIAL}*"):
            owner = int(left.name.removeprefix(PARTIAL).partition("-")[0])
            if not Path(f"/proc/{owner}").exists():
                shutil.rmtree(left, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
