"""A deterministic event loop: time stands still while something can run, and jumps to the next timer when nothing can.

Each worker's work runs in a context that names its `Life`. A killed life's callbacks are dropped, so a crash may fall
on any await and no `finally` runs; a frozen one's wait for the thaw. Work handed to threads is run by the loop itself,
and goes on when its caller was cancelled, as a thread does.
"""

import asyncio
import contextvars
import heapq
from collections.abc import Callable
from random import Random
from typing import Any

from contracts.errors import StateUnavailable

LIFE: "contextvars.ContextVar[Life | None]" = contextvars.ContextVar("life", default=None)


class Killed(BaseException):
    """Raised in the middle of a call to end the life that made it."""


class Life:
    """One worker process.

    Attributes:
        dead: It was killed.
        thaw_s: Until when it is frozen, virtual seconds.
        disk_full: Whether its disk takes no write.
        kill_after: Calls to the outside after which it is killed; None for never.
        kill_on_disk: The same, of uses of its disk alone.
    """

    def __init__(self, name: str, loop: "VirtualLoop"):
        self.name = name
        self.dead = False
        self.thaw_s = 0.0
        self.disk_full = False
        self.kill_after: int | None = None
        self.kill_on_disk: int | None = None
        self.on_death: list[Callable[[], None]] = []
        self._loop = loop

    def kill(self) -> None:
        """Nothing of it runs any more."""
        if not self.dead:
            self.dead = True
            self._loop.drop(self)
            for call in self.on_death:
                call()

    def step(self) -> None:
        """A call to the outside, which an armed death may end. Raises Killed."""
        if self.kill_after is not None:
            self.kill_after -= 1
            if self.kill_after < 0:
                raise Killed

    def disk(self) -> None:
        """A use of the disk. Raises Killed, and StateUnavailable while it is full."""
        self.step()
        if self.kill_on_disk is not None:
            self.kill_on_disk -= 1
            if self.kill_on_disk < 0:
                raise Killed
        if self.disk_full:
            raise StateUnavailable("found the disk full; expected room")


class VirtualLoop(asyncio.BaseEventLoop):
    """The loop.

    Args:
        random: Decides how long work in a thread takes.
    """

    def __init__(self, random: Random):
        super().__init__()
        self._random = random
        self._now_s = 0.0
        self._thawed = 0
        self.unexpected: list[dict[str, Any]] = []
        self.set_exception_handler(self._noted)

    def time(self) -> float:
        return self._now_s

    def _run_once(self) -> None:
        """Runs what is ready; when nothing is, time jumps to the next timer. The base class's own waits for sockets."""
        ready, timers = self._ready, self._scheduled
        if not ready:
            while timers and timers[0]._cancelled:
                heapq.heappop(timers)
            if not timers:
                raise RuntimeError("found nothing that could ever run; expected a timer")
            self._now_s = max(self._now_s, timers[0]._when)
            while timers and timers[0]._when <= self._now_s:
                ready.append(heapq.heappop(timers))
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are dropped when their time comes."""

    def call_soon(self, callback: Any, *args: Any, context: contextvars.Context | None = None) -> asyncio.Handle:
        life = LIFE.get() if context is None else context.get(LIFE)
        if life is not None:
            if life.dead:
                return self._dropped(callback, args, context)
            if life.thaw_s > self._now_s:
                self._thawed += 1
                return super().call_at(life.thaw_s + 1e-7 * self._thawed, callback, *args, context=context)
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        life = LIFE.get() if context is None else context.get(LIFE)
        if life is not None:
            if life.dead:
                handle = asyncio.TimerHandle(when, callback, args, self, context)
                handle._cancelled = True
                return handle
            if life.thaw_s > when:
                self._thawed += 1
                when = life.thaw_s + 1e-7 * self._thawed
        return super().call_at(when, callback, *args, context=context)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":
        future = self.create_future()

        def run() -> None:
            try:
                result = func(*args)
            except Killed:
                life = LIFE.get()
                assert life is not None
                life.kill()
            except BaseException as error:  # noqa: BLE001 - goes to whoever waits
                if not future.done():
                    future.set_exception(error)
                    future.exception()
            else:
                if not future.done():
                    future.set_result(result)

        if self._random.random() < 0.7:
            self.call_soon(run)
        else:
            self.call_later(self._random.uniform(0.0, 0.05), run)
        return future

    def drop(self, life: Life) -> None:
        """Cancels all that waits to run for a life."""
        for handle in [*self._ready, *self._scheduled]:
            if handle._context.get(LIFE) is life:
                handle.cancel()

    def _dropped(self, callback: Any, args: Any, context: contextvars.Context | None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        handle.cancel()
        return handle

    def _noted(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if "was destroyed but it is pending" not in context.get("message", ""):
            self.unexpected.append(context)

    def _asyncgen_finalizer_hook(self, agen: Any) -> None:
        """A killed worker's generators are not closed: nothing of it runs any more."""
        self._asyncgens.discard(agen)

    def _write_to_self(self) -> None:
        """There is nobody to wake."""
