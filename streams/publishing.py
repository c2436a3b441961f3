"""What a batch sends: collected while folding, published together, and waited for before anything is acknowledged."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel

from contracts.deadletters import refused
from contracts.errors import LogUnavailable
from contracts.ids import EventId
from contracts.ports import EventLog, LoggedMessage
from contracts.topics import DEAD_LETTERS, TRACES, Topic
from contracts.traces import Stage, TraceStamp
from contracts.wire import encode
from streams.metrics import StreamMetrics

ACKNOWLEDGE_TIMEOUT_S = 30.0

Message = tuple[Topic, str, BaseModel | None]


class Outbox:
    """The messages of one batch. Encoding and sending run in a worker thread, off the event loop.

    Args:
        log: Where they go.
        metrics: Counts them by topic.
    """

    def __init__(self, log: EventLog, metrics: StreamMetrics):
        self._log = log
        self._metrics = metrics
        self._waves: dict[int, list[Message]] = {}

    def add(self, topic: Topic, key: str, value: BaseModel | None, wave: int = 0) -> None:
        """One more message; None is a tombstone. A wave is sent once the one before it is acknowledged."""
        self._waves.setdefault(wave, []).append((topic, key, value))

    def refuse(self, message: LoggedMessage, error: Exception, now: datetime) -> None:
        """A dead letter for a message that cannot be used."""
        letter = refused(message.topic, message.partition, message.offset, message.key, message.value, error, now)
        self._metrics.dead_letters.labels(message.topic, letter.reason).inc()
        self.add(DEAD_LETTERS, message.topic, letter)

    def stamp(self, event_id: EventId, stage: Stage, now: datetime) -> None:
        """A stamp on a traced event."""
        self.add(TRACES, event_id, TraceStamp(event_id=event_id, stage=stage, at=now))

    async def send(self) -> None:
        """Publishes all and returns once all are acknowledged.

        Raises:
            LogUnavailable: one was not. Some may have gone out: their receivers drop them when they come again.
        """
        for wave in sorted(self._waves):
            await asyncio.to_thread(self._send, self._waves[wave])

    def _send(self, messages: Sequence[Message]) -> None:
        futures = []
        for topic, key, value in messages:
            future = self._log.publish(topic, key, None if value is None else encode(value))
            if future.done():
                future.result()
            futures.append(future)
        try:
            for future in futures:
                future.result(ACKNOWLEDGE_TIMEOUT_S)
        except TimeoutError as error:
            raise LogUnavailable(
                f"found a message not acknowledged after {ACKNOWLEDGE_TIMEOUT_S} s; expected it; check the broker"
            ) from error
        for name, count in Counter(topic.name for topic, _, _ in messages).items():
            self._metrics.events_out.labels(name).inc(count)
