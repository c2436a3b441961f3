"""Model versions as directories: written whole or not at all, and ordered as they were announced.

Publishing a version:
1. Weights are saved into a hidden directory beside the versions and synced to disk.
2. `manifest.json` is written last, and synced.
3. One rename makes the directory visible under the version's name.
4. Once the version is announced on the log, `announced` gets the next number: the order of versions is the log's.
A directory without a readable manifest is no version; what a crash left behind is swept at the next `write`.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from contracts.errors import BadCheckpoint, MillstreamError, NoModel
from contracts.ids import ModelVersion
from contracts.versions import PublishedVersion
from contracts.wire import decode
from feature_repo.partials import PARTIAL, newest_change_s, partial_in, sweep
from feature_repo.synced import sync

__all__ = ["ANNOUNCED", "MANIFEST", "PARTIAL", "ModelStore"]

MANIFEST = "manifest.json"
ANNOUNCED = "announced"
"""Holds the version's place in the order of announcements, from 1: a number of this store, not an offset, since a log
may be lost and filled again."""


class ModelStore:
    """Versions in one directory; one writer a version, any number of readers.

    Args:
        directory: Made at the first `write`.
    """

    def __init__(self, directory: Path):
        self._directory = directory

    def write(self, version: PublishedVersion, save: Callable[[Path], None]) -> Path:
        """Writes a version, steps 1 to 3.

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
        partial = partial_in(self._directory)
        partial.mkdir()
        try:
            sweep(self._directory)
            save(partial)
            for path in sorted(partial.rglob("*")):
                sync(path)
            manifest = partial / MANIFEST
            manifest.write_text(version.model_dump_json(indent=2))
            sync(manifest)
            sync(partial)
            partial.rename(target)
            sync(self._directory)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        return target

    def mark_announced(self, version: ModelVersion) -> None:
        """Step 4: the version is the one announced last; one that is so already, or is not here, stays as it is.

        Raises:
            OSError: the mark could not be written.
        """
        path = self._named(version)
        places = {other: self._place(other) for other in self.versions()}
        newest = max(places.values(), default=0)
        if version not in places or (places[version] and places[version] == newest):
            return
        written = path / f".{ANNOUNCED}"
        written.write_text(str(newest + 1))
        sync(written)
        written.rename(path / ANNOUNCED)
        sync(path)

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
        """All whole versions: first those never announced, by name, then the others in the order of announcement."""
        names = [ModelVersion(path.parent.name) for path in self._directory.glob(f"[!.]*/{MANIFEST}")]
        return sorted(names, key=lambda name: (self._place(name), name))

    def announced(self) -> list[ModelVersion]:
        """The versions that were announced, in that order."""
        return [version for version in self.versions() if self._place(version)]

    def latest(self) -> PublishedVersion | None:
        """The version announced last, of those whose manifest can be read; None when there is none."""
        for version in reversed(self.announced()):
            try:
                return self.manifest(version)
            except (BadCheckpoint, NoModel):
                continue
        return None

    def unchanged_s(self, version: ModelVersion) -> float:
        """How long a version's files lay unchanged when the store was changed last, by the disk's own times."""
        return newest_change_s(self._directory) - newest_change_s(self._named(version))

    def remove(self, version: ModelVersion) -> None:
        """Removes a version; one that is not there is no error.

        A reader that is loading it sees BadCheckpoint or a missing file.
        """
        # Hidden first, so that no reader finds a version that is half gone.
        doomed = partial_in(self._directory)
        try:
            self._named(version).rename(doomed)
        except FileNotFoundError:
            return
        shutil.rmtree(doomed, ignore_errors=True)

    def _named(self, version: ModelVersion) -> Path:
        if not version or version.startswith(".") or Path(version).name != version:
            raise BadCheckpoint(f"found the version name {version!r}; expected a plain directory name")
        return self._directory / version

    def _place(self, version: ModelVersion) -> int:
        """The version's place in the order of announcements; 0 for one that was never announced."""
        try:
            return int((self._named(version) / ANNOUNCED).read_text())
        except (OSError, ValueError):
            return 0
