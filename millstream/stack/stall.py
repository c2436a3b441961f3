"""Noticing a process that runs and gets nowhere: no sign of life, or messages waiting while none is consumed.

`Progress` is the pure judge; `StallWatch` is the thread that feeds it from the log, so that a log that hangs never
hangs the supervisor. A log that does not answer for long is itself what has stalled.
"""

import logging
import threading
import time
from dataclasses import dataclass, field

from contracts.errors import LogUnavailable
from contracts.settings import Settings
from contracts.topics import EVENTS, FEEDBACK, ITEM_TOUCHES, Topic
from eventlog.lag import group_lag, message_counts

_log = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0
STALLED_AFTER_S = 45.0
LOG_SILENT_AFTER_S = 30.0
ESCALATE_AFTER = 2
"""This many stalls of one consumer without progress between them, and the embedded broker is held to be the cause."""


@dataclass
class Progress:
    """Judges one consumer group from what it has consumed and what still waits.

    Attributes:
        stalled_after_s: How long nothing may move while messages wait.
    """

    stalled_after_s: float = STALLED_AFTER_S
    stalls: int = 0
    _consumed: int = -1
    _moved_at: float = field(default=0.0)

    def observe(self, consumed: int, waiting: int, now: float) -> bool:
        """Takes one observation; true when the group has stalled. A stall is told once, then the wait begins anew."""
        if consumed != self._consumed or waiting == 0:
            if consumed > self._consumed >= 0:
                self.stalls = 0
            self._consumed, self._moved_at = consumed, now
            return False
        if now - self._moved_at < self.stalled_after_s:
            return False
        self.stalls += 1
        self._moved_at = now
        return True


@dataclass(frozen=True)
class WatchedGroup:
    """A consumer group and the process that it belongs to."""

    process: str
    group: str
    topics: tuple[Topic, ...]


def watched_groups(settings: Settings) -> tuple[WatchedGroup, ...]:
    """The groups whose progress the supervisor watches.

    `items` is not among the topics: its agent waits on purpose while the encoders or the vector index are away.
    """
    return (
        WatchedGroup("streams", settings.app_id, (EVENTS, ITEM_TOUCHES)),
        WatchedGroup("streams", f"{settings.app_id}-archive", (EVENTS, FEEDBACK)),
    )


class StallWatch(threading.Thread):
    """Looks at the groups every few seconds. `stalled()` tells, once each, what has stalled since it was last asked."""

    def __init__(self, settings: Settings, groups: tuple[WatchedGroup, ...]):
        super().__init__(name="stall-watch", daemon=True)
        self._settings = settings
        self._progress = {group: Progress() for group in groups}
        self._found: dict[str, str] = {}
        self._lock = threading.Lock()
        self._answered_at = time.monotonic()
        self._ended = threading.Event()

    def stalled(self) -> dict[str, str]:
        """Process names and reasons, each told once."""
        now = time.monotonic()
        with self._lock:
            found, self._found = self._found, {}
            if self._settings.embedded_broker and now - self._answered_at > LOG_SILENT_AFTER_S:
                found["broker"] = f"the broker has not answered for {LOG_SILENT_AFTER_S:.0f} s"
                self._answered_at = now
        return found

    def end(self) -> None:
        """Ends the thread after its present look."""
        self._ended.set()

    def run(self) -> None:
        """Looks until ended."""
        self._answered_at = time.monotonic()
        while not self._ended.wait(LOOK_EVERY_S):
            for group, progress in self._progress.items():
                try:
                    self._look(group, progress)
                except LogUnavailable as error:
                    _log.warning("%s", error)

    def _look(self, group: WatchedGroup, progress: Progress) -> None:
        waiting = sum(group_lag(self._settings.bootstrap, group.group, group.topics).values())
        given = sum(message_counts(self._settings.bootstrap, group.topics).values())
        now = time.monotonic()
        with self._lock:
            self._answered_at = now
            if not progress.observe(given - waiting, waiting, now):
                return
            reason = f"{waiting} messages wait and none was consumed for {progress.stalled_after_s:.0f} s"
            if progress.stalls > ESCALATE_AFTER and self._settings.embedded_broker:
                progress.stalls = 0
                self._found["broker"] = f"{group.process} stays stalled over {ESCALATE_AFTER} restarts: {reason}"
            else:
                self._found[group.process] = reason
