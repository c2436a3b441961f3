"""A step that is taken again and again on the event loop, as long as the replica runs."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)


class Repeated:
    """A task of the running event loop.

    Args:
        name: What it is called in logs.
        step: One round; a failure is logged and ends nothing.
        every_s: Pause between two rounds.
    """

    def __init__(self, name: str, step: Callable[[], Awaitable[None]], every_s: float):
        self._name = name
        self._step = step
        self._every_s = every_s
        self._stopped = False
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether rounds are made."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Starts the rounds; the first comes at once."""
        self._stopped = False
        self._task = asyncio.get_running_loop().create_task(self._run(), name=self._name)

    def stop(self) -> None:
        """Ends the rounds."""
        self._stopped = True
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        # A cancellation that meets the end of a call is taken for its answer by `asyncio.wait_for`: hence the flag.
        while not self._stopped:
            try:
                await self._step()
            except Exception:
                if not self._stopped:
                    log.exception("a round of %s failed", self._name)
            await asyncio.sleep(self._every_s)
