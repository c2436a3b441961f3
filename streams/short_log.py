"""Notices a log that ends before what was read of it: another log, whose messages would pass for redelivered ones."""

from contracts.errors import StatesLost

SHORT_FOR_S = 10.0
"""A new leader's watermark may be behind the old one's for a moment."""


class ShortLog:
    """Of one partition.

    Args:
        name: For the message.
    """

    def __init__(self, name: str):
        self._name = name
        self._since_s: float | None = None

    def check(self, needed: int, end: int | None, now_s: float) -> bool:
        """Called after each fetch; whether the log is short now: what it gave is not to be worked on.

        Args:
            needed: The offset behind the last one that was read or folded.
            end: Where the log ends as the fetch saw it; None where it did not see.
            now_s: Seconds of a monotonic clock.

        Raises:
            StatesLost: the log ended before `needed` for `SHORT_FOR_S`.
        """
        if end is None or end >= needed:
            self._since_s = None
            return False
        self._since_s = now_s if self._since_s is None else self._since_s
        if now_s - self._since_s >= SHORT_FOR_S:
            raise StatesLost(
                f"found {self._name} ending at {end}, states folded up to {needed}; expected the log that they were "
                "folded from: it was deleted or cut, and what it takes now would pass for read; run `millstream "
                "rebuild`, which folds what the log holds"
            )
        return True
