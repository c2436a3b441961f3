"""The thread that follows the log into memory.

It outlives the log: while the log is away it tries again, and goes on from where it was when the log returns. `ready`
is set once, when everything that was in the topics of the catalogue and the versions at the start has been applied.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable

from contracts.errors import LogUnavailable, Starting
from contracts.ports import Tail
from services import metrics
from services.gateway.feed import Feed

log = logging.getLogger(__name__)

POLL_S = 0.2
RETRY_AFTER_S = 0.5
REFRESH_EVERY_S = 0.5
REPORT_EVERY_S = 5.0
NOTICE_S = 0.05
"""How soon a wait for readiness notices that it is over."""


class TailThread:
    """Polls a tail into the feed.

    Args:
        tail: The tail, not used by any other thread.
        feed: What the messages are applied to.
        monotonic_s: Seconds, never going back.
    """

    def __init__(self, tail: Tail, feed: Feed, monotonic_s: Callable[[], float] = time.monotonic):
        self._tail = tail
        self._feed = feed
        self._monotonic_s = monotonic_s
        self._ready = threading.Event()
        self._stopped = threading.Event()
        self._refreshed_at = 0.0
        self._away = False
        self._read = 0
        self._thread = threading.Thread(target=self._run, name="log-tail", daemon=True)

    @property
    def ready(self) -> bool:
        """Whether the tail has caught up once."""
        return self._ready.is_set()

    @property
    def away(self) -> bool:
        """Whether the log could not be opened at the last try."""
        return self._away

    def require_ready(self) -> None:
        """Returns once the catalogue is whole in memory.

        Raises:
            Starting: it is still being read.
        """
        if not self.ready:
            raise Starting(
                f"found the catalogue still being read from the log ({self._read} messages so far); expected it whole; "
                "send it again in a moment, or to another replica"
            )

    async def wait_until_ready(self, timeout_s: float) -> bool:
        """Waits until the catalogue is whole and logs how far it is; for the event loop.

        Args:
            timeout_s: After so long it returns all the same: requests are then refused one by one.

        Returns:
            Whether it is.
        """
        started = reported = self._monotonic_s()
        while not self.ready and (waited_s := self._monotonic_s() - started) < timeout_s:
            if self._monotonic_s() - reported >= REPORT_EVERY_S:
                reported = self._monotonic_s()
                state = "the log is away" if self._away else f"{self._read} messages read"
                log.warning("the catalogue is being read for %.0f s: %s", waited_s, state)
            await asyncio.sleep(NOTICE_S)
        if self.ready:
            log.info("the catalogue is read: %d messages in %.1f s", self._read, self._monotonic_s() - started)
        else:
            log.warning(
                "the catalogue is not read after %.0f s; requests that need it are refused until it is", timeout_s
            )
        return self.ready

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stops the thread and closes the tail."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def step(self, timeout_s: float = POLL_S) -> None:
        """Applies the next messages: one round of the thread. Raises LogUnavailable."""
        messages = self._tail.poll(timeout_s)
        for message in messages:
            self._feed.apply(message)
        self._read += len(messages)
        just_ready = not self.ready and self._tail.caught_up()
        if just_ready or self._monotonic_s() - self._refreshed_at >= REFRESH_EVERY_S:
            self._feed.refresh()
            self._refreshed_at = self._monotonic_s()
        if just_ready:
            self._feed.settle()
            self._ready.set()
            metrics.READY.set(1)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self.step()
                self._away = False
            except LogUnavailable as error:
                if not self._away:
                    log.warning("the log is away, trying again every %s s: %s", RETRY_AFTER_S, error)
                self._away = True
                self._stopped.wait(RETRY_AFTER_S)
            except Exception:
                log.exception("a round of the log's tail failed; trying again")
                self._stopped.wait(RETRY_AFTER_S)
        self._tail.close()
