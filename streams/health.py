"""The watchdog: sees a consumer that receives nothing although the log has more, and says so.

Faust's agents are known to fall silent after broker trouble, and Tansu to answer fetches with nothing. Neither raises.
The process then exits with `EX_TEMPFAIL`, and the supervisor starts it anew; at-least-once and idempotence make that
safe. An agent that waits for a dependency is no stall: what it works on was received.
"""

from collections.abc import Sequence
from dataclasses import dataclass

EXIT_STALLED = 75
"""EX_TEMPFAIL of sysexits.h: try again later."""

STALL_AFTER_S = 60.0


@dataclass(frozen=True)
class Observation:
    """One partition now.

    Attributes:
        name: Topic and partition, for the message.
        end: The offset after the last message of the log, or a lower bound of it.
        received: The next offset to be received.
        working: Whether messages were received that are not done.
    """

    name: str
    end: int
    received: int
    working: bool


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
