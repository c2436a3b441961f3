"""Calling a blocking dependency from the event loop: own threads, a deadline, and a breaker.

After a failure (or three timeouts in a row) the breaker is open for a while: callers are refused at once, so that a
dependency that is away costs one request its deadline and not every request. Then one caller tries again; the others
are refused until it has succeeded.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from contracts.errors import BadInput, Unavailable

log = logging.getLogger(__name__)

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")

OPEN_FOR_S = 1.0
TIMEOUTS_TO_OPEN = 3
"""Timeouts in a row that open the breaker: one slow answer is no outage, a refused connection is."""


class Bounded:
    """One dependency behind its own threads.

    Args:
        name: What it is called in messages, threads and logs.
        error: Raised for every failure of the dependency but a `BadInput`.
        threads: How many calls may run at once (1 for what is not thread-safe).
        open_for_s: How long callers are refused after a failure.
        monotonic_s: Seconds, never going back.
    """

    def __init__(
        self,
        name: str,
        error: type[Unavailable],
        threads: int,
        open_for_s: float = OPEN_FOR_S,
        monotonic_s: Callable[[], float] = time.monotonic,
    ):
        self.name = name
        self._error = error
        self._open_for_s = open_for_s
        self._monotonic_s = monotonic_s
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._open_until = 0.0
        self._failing = False
        self._timeouts = 0

    @property
    def available(self) -> bool:
        """Whether the last call succeeded (true before the first)."""
        return not self._failing

    async def call(
        self,
        timeout_s: float,
        function: Callable[Arguments, Returned],
        /,
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Returned:
        """Runs `function` in a thread and waits at most `timeout_s`.

        Raises:
            Unavailable: (the class given) refused by the breaker, failed, or not done in time.
            BadInput: as the function raised it; the breaker stays shut.
        """
        now = self._monotonic_s()
        if now < self._open_until:
            raise self._error(f"{self.name} failed less than {self._open_for_s} s ago; it is tried again after that")
        if self._failing:
            self._open_until = now + max(self._open_for_s, timeout_s)
        running = asyncio.get_running_loop().run_in_executor(self._executor, partial(function, *args, **kwargs))
        try:
            result = await asyncio.wait_for(running, timeout_s)
        except BadInput:
            self._close()
            raise
        except TimeoutError as error:
            self._timeouts += 1
            if self._failing or self._timeouts >= TIMEOUTS_TO_OPEN:
                self._open(f"no answer within {timeout_s:.3f} s")
            raise self._error(f"{self.name} gave no answer within {timeout_s:.3f} s; expected one sooner") from error
        except Exception as error:
            self._open(repr(error))
            if isinstance(error, self._error):
                raise
            raise self._error(f"{self.name} failed: {error!r}; expected an answer") from error
        self._close()
        return result

    def close(self) -> None:
        """Lets running calls end and takes no more."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _open(self, cause: str) -> None:
        if not self._failing:
            log.warning("%s is away: %s", self.name, cause)
        self._failing = True
        self._open_until = self._monotonic_s() + self._open_for_s

    def _close(self) -> None:
        if self._failing:
            log.warning("%s has returned", self.name)
        self._failing = False
        self._timeouts = 0
        self._open_until = 0.0
