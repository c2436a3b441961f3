"""The watchdog: sees a consumer that receives nothing although the log has more, and says so.

Faust's agents are known to fall silent after broker trouble, and Tansu to answer fetches with nothing. Neither raises.
The process then exits with `EX_TEMPFAIL`, and the supervisor starts it anew; at-least-once and idempotence make that
safe. An agent that waits for a dependency is no stall: what it works on was received.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import LogUnavailable
from contracts.ports import EventLog

EXIT_STALLED = 75
"""EX_TEMPFAIL of sysexits.h: try again later."""

EXIT_UNUSABLE = 65
"""EX_DATAERR: the stored states are of another version; a person has to do something."""

STALL_AFTER_S = 60.0
PROBE_BYTES = 65_536
PROBE_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Observation:
    """One partition now.

    Attributes:
        topic: The topic.
        partition: Its partition.
        end: The offset after the last message of the log, or a lower bound of it.
        received: The next offset to be received.
        working: Whether messages were received that are not done.
    """

    topic: str
    partition: int
    end: int
    received: int
    working: bool

    @property
    def name(self) -> str:
        """Topic and partition, for the message."""
        return f"{self.topic}-{self.partition}"


class Watchdog:
    """Remembers when each partition last moved.

    Args:
        stall_after_s: How long a partition may stand still with messages waiting in the log.
    """

    def __init__(self, stall_after_s: float = STALL_AFTER_S):
        self._stall_after_s = stall_after_s
        self._moved: dict[str, tuple[int, float]] = {}

    def stalled(self, observations: Sequence[Observation], now_s: float) -> list[str]:
        """Names of the partitions that stand still, with what was seen.

        Args:
            observations: All owned partitions.
            now_s: Seconds of a monotonic clock.
        """
        found = []
        for seen in observations:
            position, since_s = self._moved.get(seen.name, (seen.received, now_s))
            if position != seen.received or seen.working or seen.received >= seen.end:
                position, since_s = seen.received, now_s
            self._moved[seen.name] = (position, since_s)
            if now_s - since_s >= self._stall_after_s:
                found.append(f"{seen.name} at {seen.received} of {seen.end} for {now_s - since_s:.0f} s")
        return found


class Machine:
    """Whether this machine is well: its disk takes a write, and the log acknowledges one.

    Args:
        directory: Where the write is tried.
        event_log: The log.
    """

    def __init__(self, directory: Path, event_log: EventLog):
        self._directory = directory
        self._log = event_log

    async def healthy(self) -> bool:
        """Tries both; takes milliseconds on a well machine."""
        return await asyncio.to_thread(self._tried)

    def _tried(self) -> bool:
        probe = self._directory / "probe"
        try:
            probe.write_bytes(bytes(PROBE_BYTES))
            probe.unlink()
            self._log.flush(PROBE_TIMEOUT_S)
        except (OSError, MemoryError, LogUnavailable):
            return False
        return True
