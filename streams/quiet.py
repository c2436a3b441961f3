"""Who was heard of a moment ago: a window of theirs is not closed by the timer, since their next event may close it."""

from collections.abc import Callable, Iterable

IDLE_S = 10.0

Monotonic = Callable[[], float]


class Quiet:
    """The users of the last `idle_s`, by partition; for the event loop's thread alone.

    A partition that was opened a moment ago has no quiet users yet: its events of before come again.

    Args:
        monotonic: Seconds of a clock that never goes back.
        idle_s: How long a user must be silent.
    """

    def __init__(self, monotonic: Monotonic, idle_s: float = IDLE_S):
        self._monotonic = monotonic
        self._idle_s = idle_s
        self._heard: dict[int, dict[str, float]] = {}
        self._opened: dict[int, float] = {}

    def heard(self, partition: int, users: Iterable[str]) -> None:
        """Events of these users came."""
        now_s = self._monotonic()
        self._opened.setdefault(partition, now_s)
        heard = self._heard.setdefault(partition, {})
        for user in users:
            heard.pop(user, None)  # the dictionary stays in the order of time
            heard[user] = now_s
        for user in list(_first(heard, now_s - self._idle_s)):
            del heard[user]

    def is_quiet(self, partition: int, user: str) -> bool:
        """Whether no event of the user came for `idle_s`."""
        now_s = self._monotonic()
        if now_s - self._opened.setdefault(partition, now_s) < self._idle_s:
            return False
        return now_s - self._heard.get(partition, {}).get(user, float("-inf")) >= self._idle_s

    def forget(self, partition: int) -> None:
        """The partition was given back."""
        self._heard.pop(partition, None)
        self._opened.pop(partition, None)


def _first(heard: dict[str, float], until_s: float) -> Iterable[str]:
    """The users heard of at or before `until_s`; stops at the first one heard of later."""
    for user, heard_s in heard.items():
        if heard_s > until_s:
            return
        yield user
