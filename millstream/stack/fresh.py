"""Run state that must not outlive the embedded broker: what it is, and how it is put aside.

The embedded broker keeps messages in memory only. State derived from a log that is gone would mix with the next one, so
it moves to `previous/` (one generation is kept). With an Apache Kafka the log is still there and nothing moves.
"""

import shutil
from pathlib import Path

from contracts.settings import Settings

DERIVED = ("feast", "streams", "vectors", "archive", "models", "train-runs", "restore")


def put_aside_derived_state(settings: Settings) -> tuple[str, ...]:
    """Moves what was derived from an earlier embedded broker's log to `previous/`.

    Returns:
        The names that were moved; empty with an external Kafka, or where there was nothing.
    """
    if not settings.embedded_broker:
        return ()
    state = settings.state_dir.absolute()
    there = [name for name in DERIVED if (state / name).exists()]
    if not there:
        return ()
    previous = state / "previous"
    shutil.rmtree(previous, ignore_errors=True)
    previous.mkdir(parents=True)
    for name in there:
        (state / name).rename(previous / name)
    return tuple(there)


def restore_dir(settings: Settings) -> Path:
    """Where the archive waits to be put back on a new log."""
    return settings.state_dir.absolute() / "restore"


def put_aside_for_restore(settings: Settings) -> None:
    """After the embedded broker died: the archive becomes what the log is restored from; stream state goes.

    The numbered steps are the same in `restore.py`: (1) this one.
    """
    shutil.rmtree(settings.streams_dir.absolute(), ignore_errors=True)
    target = restore_dir(settings)
    if settings.archive_dir.exists() and not target.exists():
        settings.archive_dir.absolute().rename(target)
