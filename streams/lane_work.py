"""What lanes are made of: where messages come from, what is done with a batch, and who runs it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from contracts.errors import LogUnavailable
from contracts.ports import LoggedMessage
from streams.clients import asked_to_end, ended
from streams.metrics import StreamMetrics
from streams.progress import Progress


class Source(Protocol):
    """Where messages come from; `streams.group.KafkaSource` is the real one."""

    async def fetch(self, topic: str, partition: int, limit: int, timeout_s: float) -> list[LoggedMessage]:
        """The next messages of an owned partition, maybe none. Raises LogUnavailable."""
        ...

    async def committed(self, topic: str, partition: int) -> int | None:
        """The offset that reading begins at; None where nothing was committed. Raises LogUnavailable."""
        ...

    def seek(self, topic: str, partition: int, offset: int) -> None:
        """The next fetch begins at `offset`. Raises LogUnavailable."""
        ...

    def highwater(self, topic: str, partition: int) -> int | None:
        """Where an owned partition ended as its last fetch saw it; None before one."""
        ...


@dataclass(frozen=True)
class LaneRules:
    """How an agent's lanes batch.

    Attributes:
        limit: Messages in a batch, at most.
        linger_s: How long a batch that is not full waits for more; fewer batches keep the embedded broker fast.
        gather_s: How long it goes on waiting while each `linger_s` brings more.
        drain_s: How long a revoked lane may take to finish the batch that it works on.
        tick_every_s: How often `tick` is called.
    """

    limit: int = 500
    linger_s: float = 0.02
    gather_s: float = 0.3
    drain_s: float = 4.0
    tick_every_s: float = 1.0


async def _nothing(partition: int) -> None:
    """Of an agent without states."""


async def _open_nothing(partition: int, restored: Callable[[int], None]) -> None:
    """Of an agent without states."""


@dataclass(frozen=True)
class LaneWork:
    """What an agent's lanes call.

    Attributes:
        process: A batch's work: (partition, messages).
        refuse: Dead-letters a message that breaks it: (message, error).
        tick: A timer's work on a partition; true when more is due than it did, and it wants to be called again soon.
        folded_to: The offset up to which some state of the partition is folded. After a crash in the middle of a write
            other states are not: the timer waits until the messages up to there have come again.
        open: Makes the partition's states readable: (partition, restored), `restored` being called with a count.
        close: Gives the partition back; its states are closed and what waits to be written is dropped.
        held: The lowest offset of the partition whose outputs are not all written yet; None when all are.
        healthy: Whether disk and log take a write now: asked before a message is blamed.
    """

    process: Callable[[int, Sequence[LoggedMessage]], Awaitable[None]]
    refuse: Callable[[LoggedMessage, Exception], Awaitable[None]]
    tick: Callable[[int], Awaitable[bool]] | None = None
    folded_to: Callable[[int], int] = lambda _: -1
    open: Callable[[int, Callable[[int], None]], Awaitable[None]] = _open_nothing
    close: Callable[[int], Awaitable[None]] = _nothing
    held: Callable[[int], int | None] = lambda _: None
    healthy: Callable[[], Awaitable[bool]] | None = None


class Batch:
    """One batch on its way through an agent: handed over, run there, waited for by its lane.

    Args:
        partition: Of the messages.
        messages: In order.
        work: What `run` does with them.
    """

    def __init__(
        self,
        partition: int,
        messages: Sequence[LoggedMessage],
        work: Callable[[int, Sequence[LoggedMessage]], Awaitable[None]],
    ):
        self.partition = partition
        self.messages = messages
        self._work = work
        self._finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Does the work in a task of its own; what it raises goes to the lane that waits in `done`."""
        if not self._finished.cancelled():
            self._task = asyncio.create_task(self._worked(), name="batch")

    async def done(self) -> None:
        """Waits for the work and raises what it raised; a wait that is cancelled cancels the work and sees its end."""
        try:
            await self._finished
        except asyncio.CancelledError:
            if self._task is not None and not self._task.done():
                await ended(self._task)
            raise

    async def _worked(self) -> None:
        try:
            await self._work(self.partition, self.messages)
        except asyncio.CancelledError:
            if asked_to_end():
                raise
            self._failed(LogUnavailable("found the batch cancelled by a client of the log; expected its answer"))
        except Exception as error:  # noqa: BLE001 - it is the lane's to judge
            self._failed(error)
        else:
            if not self._finished.done():
                self._finished.set_result(None)

    def _failed(self, error: Exception) -> None:
        if not self._finished.done():
            self._finished.set_exception(error)


Hand = Callable[[Batch], Awaitable[None]]
"""Hands a batch to whoever runs it: the Faust agent's channel, or the batch itself."""


async def start_here(batch: Batch) -> None:
    """Starts the batch without an agent."""
    batch.start()


@dataclass(frozen=True)
class LaneContext:
    """What all lanes of a worker share.

    Attributes:
        source: Where messages come from.
        metrics: Counts messages and times batches.
        progress: What was received and what is done.
        stop: Ends the process, which cannot go on: states of another version, a lane that failed.
    """

    source: Source
    metrics: StreamMetrics
    progress: Progress
    stop: Callable[[Exception], None]
