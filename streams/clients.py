"""How clients of aiokafka, and tasks that use them, are ended: its way with a cancellation is not what one expects.

aiokafka 0.14 awaits the fetches that it cancels: one that waits for its next try, because a broker is away, ends its
caller's `stop()` with a CancelledError that nobody asked for, and such an end of a task is not noticed. A broker that
goes away meanwhile may keep `stop()` for ever.
"""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Protocol

log = logging.getLogger(__name__)

STOP_TIMEOUT_S = 10.0


class Client(Protocol):
    """A consumer or a producer."""

    def stop(self) -> Awaitable[None]:
        """Ends it."""
        ...


async def stopped(client: Client, within_s: float = STOP_TIMEOUT_S) -> None:
    """Stops a client, or gives it up after `within_s`; only a real cancellation of the caller is raised."""
    stopping = asyncio.create_task(_stop(client), name="stopping a client")
    await asyncio.wait([stopping], timeout=within_s)
    if not stopping.done():
        stopping.cancel()
        log.warning("found a client of the log that does not stop within %.0f s; it is left behind", within_s)
    elif stopping.cancelled() or stopping.exception() is not None:
        log.info("a client of the log ended while a broker was away")


async def _stop(client: Client) -> None:
    await client.stop()


def asked_to_end() -> bool:
    """Whether someone has cancelled the running task; else a CancelledError in it is a client's own."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def ended(task: asyncio.Task[None], again_after_s: float = 1.0) -> None:
    """Cancels a task until it has ended: a client may swallow a cancellation."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=again_after_s)
