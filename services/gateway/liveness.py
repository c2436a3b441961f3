"""Which processes have beaten lately: what flags an answer as made without fresh features or weights."""

from datetime import datetime, timedelta

from contracts.heartbeats import Heartbeat, ProcessName
from contracts.requests import Degradation

_MEANING: dict[ProcessName, Degradation] = {"streams": Degradation.STREAMS, "learner": Degradation.LEARNER}


class Liveness:
    """The newest heartbeat of each process.

    Args:
        stale_after: A process that has not beaten for so long is stale; so is one that never has.
    """

    def __init__(self, stale_after: timedelta):
        self._stale_after = stale_after
        self._beats: dict[ProcessName, Heartbeat] = {}

    def beat(self, heartbeat: Heartbeat) -> None:
        """Takes a heartbeat; an older one than known changes nothing."""
        known = self._beats.get(heartbeat.process)
        if known is None or heartbeat.at >= known.at:
            self._beats[heartbeat.process] = heartbeat

    def fresh(self, process: ProcessName, now: datetime) -> bool:
        """Whether the process has beaten lately."""
        heartbeat = self._beats.get(process)
        return heartbeat is not None and now - heartbeat.at <= self._stale_after

    def stale(self, now: datetime) -> list[Degradation]:
        """What an answer made now must admit."""
        return [meaning for process, meaning in _MEANING.items() if not self.fresh(process, now)]
