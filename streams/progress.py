"""How far each partition has come: what was received from the log and what is done, for lag and for the watchdog.

Written by the event loop, read by threads; plain dictionary operations, so no lock is needed.
"""


class Progress:
    """The offset after the last message received, and after the last one done, by (topic, partition)."""

    def __init__(self) -> None:
        self._received: dict[tuple[str, int], int] = {}
        self._done: dict[tuple[str, int], int] = {}

    def received(self, topic: str, partition: int, offset: int) -> None:
        """A message came from the log; after a rebalance offsets may go back."""
        self._received[topic, partition] = offset + 1

    def done(self, topic: str, partition: int, offset: int) -> None:
        """A message was worked on and acknowledged."""
        self._done[topic, partition] = offset + 1

    def next_received(self, topic: str, partition: int) -> int | None:
        """The next offset to be received; None when none was."""
        return self._received.get((topic, partition))

    def next_done(self, topic: str, partition: int) -> int | None:
        """The next offset to be done; None when none was."""
        return self._done.get((topic, partition))

    def waiting(self, topic: str, partition: int) -> bool:
        """Whether messages were received that are not done: the agent is at work, or its dependency is away."""
        received = self._received.get((topic, partition), 0)
        return received > self._done.get((topic, partition), 0)
