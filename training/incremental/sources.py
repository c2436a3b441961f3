"""What the learner reads."""

from dataclasses import dataclass
from typing import Protocol

from contracts.ports import LoggedMessage, Tail


class Feedback(Protocol):
    """Reading the feedback topic as a group, as `eventlog.group.GroupReader` does."""

    def poll(self, timeout_s: float) -> list[LoggedMessage]:
        """The next messages, maybe none."""
        ...

    def commit(self) -> None:
        """Keeps the progress up to what was polled."""
        ...

    def lag(self) -> dict[str, int]:
        """Messages not yet polled, by topic."""
        ...


@dataclass(frozen=True)
class Sources:
    """What the learner reads: the feedback as a group, and the catalogue's topics with the announcements as a tail."""

    feedback: Feedback
    catalogue: Tail
