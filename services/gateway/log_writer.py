"""Writing to the log from the event loop.

One thread hands messages to the producer, in the order in which the loop asked: an impression always precedes the
clicks on it. `publish` waits for the acknowledgement (a shop's event), `send` does not (an impression, a trace stamp).
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from contracts.errors import LogUnavailable, MessageTooLarge
from contracts.ports import EventLog
from contracts.topics import Topic
from services import metrics

log = logging.getLogger(__name__)

SEND_AGAIN_AFTER_S = 1.0
MAX_UNSENT = 5_000


@dataclass(frozen=True)
class Outgoing:
    """A message on its way to the log."""

    topic: Topic
    key: str
    value: bytes


class LogWriter:
    """The gateway's producer.

    Args:
        event_log: The log.
        timeout_s: How long `publish` waits for acknowledgements.
        monotonic_s: Seconds, never going back.
    """

    def __init__(self, event_log: EventLog, timeout_s: float, monotonic_s: Callable[[], float] = time.monotonic):
        self._log = event_log
        self._timeout_s = timeout_s
        self._monotonic_s = monotonic_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="log-writer")
        self._failed_at: float | None = None
        self._unsent = 0

    @property
    def available(self) -> bool:
        """Whether the last acknowledgement came (true before the first message)."""
        return self._failed_at is None

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Returns once the log has acknowledged every message.

        Raises:
            MessageTooLarge: the log never takes one of them; the others may be in it.
            LogUnavailable: some were not acknowledged in time; they may or may not be in the log, and sending them
                again is harmless, for an event counts once by its id.
        """
        loop = asyncio.get_running_loop()
        started = self._monotonic_s()
        try:
            async with asyncio.timeout(self._timeout_s):
                futures = await loop.run_in_executor(self._thread, self._hand_over, list(messages))
                await asyncio.gather(*(asyncio.wrap_future(future) for future in futures))
        except MessageTooLarge:
            raise  # the log is well
        except (TimeoutError, LogUnavailable) as error:
            self._failed(messages)
            raise LogUnavailable(
                f"found no acknowledgement of {len(messages)} messages within {self._timeout_s} s; expected the log to "
                "take them; some may be in it all the same: send all again with the same event ids, an id counts once"
            ) from error
        self._failed_at = None
        for topic in {message.topic.name for message in messages}:
            metrics.LOG_PUBLISH_SECONDS.labels(topic=topic).observe(self._monotonic_s() - started)

    def send(self, message: Outgoing) -> bool:
        """Hands the message over without waiting; a failure is counted.

        Returns:
            False when it was dropped at once, for the log is known to be away.
        """
        away = self._failed_at is not None and self._monotonic_s() - self._failed_at < SEND_AGAIN_AFTER_S
        if away or self._unsent >= MAX_UNSENT:
            metrics.LOG_FAILURES.labels(topic=message.topic.name).inc()
            return False
        self._unsent += 1
        self._thread.submit(self._hand_over, [message]).add_done_callback(partial(self._handed_over, message))
        return True

    def close(self) -> None:
        """Hands over what waits, then flushes; what the log does not take in time is counted."""
        self._thread.shutdown(wait=True)
        try:
            self._log.flush(self._timeout_s)
        except LogUnavailable as error:
            log.warning("the last messages were not acknowledged: %s", error)

    def _hand_over(self, messages: list[Outgoing]) -> list[Future[None]]:
        return [self._log.publish(message.topic, message.key, message.value) for message in messages]

    def _handed_over(self, message: Outgoing, handed: Future[list[Future[None]]]) -> None:
        self._unsent -= 1
        error = handed.exception()
        if error is not None:
            self._failed([message])
            if not isinstance(error, LogUnavailable):
                log.error("a message for %s could not be handed over", message.topic.name, exc_info=error)
            return
        handed.result()[0].add_done_callback(partial(self._acknowledged, message))

    def _acknowledged(self, message: Outgoing, future: Future[None]) -> None:
        error = future.exception()
        if isinstance(error, MessageTooLarge):
            metrics.LOG_FAILURES.labels(topic=message.topic.name).inc()
        elif error is not None:
            self._failed([message])
        else:
            self._failed_at = None

    def _failed(self, messages: Sequence[Outgoing]) -> None:
        self._failed_at = self._monotonic_s()
        for message in messages:
            metrics.LOG_FAILURES.labels(topic=message.topic.name).inc()
