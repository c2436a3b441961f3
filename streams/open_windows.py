"""Which users have attribution windows to close, by partition: an index beside the user table, rebuilt at start.

The watermark of a partition is the newest event time folded in it. The timer closes a user's window once the watermark
has passed it and no event of the user came for `IDLE_S` of wall time: while a past log is replayed beside live events,
the watermark is ahead of the replay, and the user's own events close the user's windows.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

IDLE_S = 10.0

Monotonic = Callable[[], float]


@dataclass
class _Partition:
    watermark_ms: int = 0
    closes: dict[str, tuple[int, float]] = field(default_factory=dict)


class OpenWindows:
    """The index. For the event loop's thread alone.

    Args:
        monotonic: Seconds of a clock that never goes back.
        idle_s: How long a user must be quiet before the timer closes a window.
    """

    def __init__(self, monotonic: Monotonic, idle_s: float = IDLE_S):
        self._monotonic = monotonic
        self._idle_s = idle_s
        self._partitions: dict[int, _Partition] = {}

    def __len__(self) -> int:
        return sum(len(partition.closes) for partition in self._partitions.values())

    def advance(self, partition: int, at_ms: int) -> None:
        """An event of this time was folded."""
        known = self._partitions.setdefault(partition, _Partition())
        known.watermark_ms = max(known.watermark_ms, at_ms)

    def note(self, partition: int, user_id: str, close_ms: int | None) -> None:
        """When the user's oldest window ends; None when none is open."""
        known = self._partitions.setdefault(partition, _Partition())
        if close_ms is None:
            known.closes.pop(user_id, None)
        else:
            known.closes[user_id] = (close_ms, self._monotonic())

    def watermark_ms(self, partition: int) -> int:
        """The newest event time folded in the partition; 0 when none was."""
        known = self._partitions.get(partition)
        return known.watermark_ms if known else 0

    def due(self, partition: int, limit: int) -> list[str]:
        """Quiet users with a window that has ended, at most `limit`."""
        known = self._partitions.get(partition)
        if known is None:
            return []
        quiet_since = self._monotonic() - self._idle_s
        ended = (
            user
            for user, (close_ms, touched) in known.closes.items()
            if close_ms <= known.watermark_ms and touched <= quiet_since
        )
        return [user for user, _ in zip(ended, range(limit), strict=False)]

    def forget(self) -> None:
        """Partitions were revoked: what is owned afterwards is noted anew."""
        self._partitions.clear()
