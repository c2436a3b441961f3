"""Lanes: one queue and one worker for each partition of an agent's topic, between Faust's stream and the folding.

Faust's own `take` acknowledges a batch even when its handler failed, and mixes partitions. A lane takes what has come,
works on it in order, and acknowledges only after the work returned:

1. collect a batch; 2. process it (fold, publish and await, write the table); 3. acknowledge each message.

A crash before 3 brings the batch again. While a dependency is away (`Unavailable`) the batch is retried for ever with
back-off. Any other failure is a bug: the messages are then tried one by one, and the one at fault is dead-lettered.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from contracts.errors import Unavailable
from contracts.ports import LoggedMessage
from streams.metrics import StreamMetrics
from streams.progress import Progress

log = logging.getLogger(__name__)

Process = Callable[[int, Sequence[LoggedMessage]], Awaitable[None]]
Refuse = Callable[[LoggedMessage, Exception], Awaitable[None]]
Tick = Callable[[int], Awaitable[None]]
Acknowledge = Callable[[], Awaitable[object]]

FIRST_RETRY_S = 0.2
LAST_RETRY_S = 5.0


@dataclass(frozen=True)
class LaneRules:
    """How an agent's lanes batch.

    Attributes:
        limit: Messages in a batch, at most.
        linger_s: How long a batch that is not full waits for more; fewer batches keep the embedded broker fast.
        gather_s: How long it goes on waiting while each `linger_s` brings more.
        capacity: Messages waiting in a lane before its stream must wait; 0 for no bound.
        drain_s: How long a revoked lane may take to finish the batch that it works on.
        tick_every_s: How often `tick` is called.
    """

    limit: int = 500
    linger_s: float = 0.02
    gather_s: float = 0.3
    capacity: int = 2000
    drain_s: float = 5.0
    tick_every_s: float = 1.0


@dataclass(frozen=True)
class LaneWork:
    """What an agent's lanes call: the batch's work, the refusal of a message that breaks it, and a timer's work."""

    process: Process
    refuse: Refuse
    tick: Tick | None = None


class Lanes:
    """The lanes of one agent, opened as partitions bring messages.

    Args:
        agent: Name in metrics and logs.
        work: What to do.
        rules: How to batch.
        metrics: Counts messages and times batches.
        progress: Told what was received and what is done.
    """

    def __init__(self, agent: str, work: LaneWork, rules: LaneRules, metrics: StreamMetrics, progress: Progress):
        self._agent = agent
        self._work = work
        self._rules = rules
        self._metrics = metrics
        self._progress = progress
        self._lanes: dict[int, _Lane] = {}

    async def put(self, message: LoggedMessage, acknowledge: Acknowledge) -> None:
        """Hands over a message; waits while its lane is full."""
        lane = self._lanes.get(message.partition)
        if lane is None:
            lane = self._lanes[message.partition] = _Lane(self, message.partition)
        self._progress.received(message.topic, message.partition, message.offset)
        await lane.queue.put((message, acknowledge))

    async def revoke(self) -> None:
        """Finishes the batches in work, within `drain_s`, and forgets what waits: it will be delivered again."""
        lanes, self._lanes = self._lanes, {}
        await asyncio.gather(*(lane.finish(self._rules.drain_s) for lane in lanes.values()))

    async def _work_on(self, partition: int, batch: list[tuple[LoggedMessage, Acknowledge]]) -> None:
        started = time.perf_counter()
        messages = [message for message, _ in batch]
        if not await self._processed(partition, messages):
            for message in messages:
                await self._processed(partition, [message])
        for message, acknowledge in batch:
            await acknowledge()
            self._progress.done(message.topic, message.partition, message.offset)
        self._metrics.events_in.labels(messages[0].topic).inc(len(messages))
        self._metrics.batch_seconds.labels(self._agent).observe(time.perf_counter() - started)

    async def _processed(self, partition: int, messages: Sequence[LoggedMessage]) -> bool:
        """Whether the messages are dealt with; False, only for several, tells to try them one by one."""
        wait_s = FIRST_RETRY_S
        while True:
            try:
                await self._work.process(partition, messages)
            except Unavailable as error:
                self._metrics.retries.labels(self._agent).inc()
                log.warning("%s agent, partition %d: %s; retrying in %.1f s", self._agent, partition, error, wait_s)
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, LAST_RETRY_S)
            except Exception as error:  # a bug must cost one message, not the stream
                log.exception("%s agent, partition %d: a batch of %d failed", self._agent, partition, len(messages))
                if len(messages) > 1:
                    return False
                await self._refused(messages[0], error)
                return True
            else:
                return True

    async def _refused(self, message: LoggedMessage, error: Exception) -> None:
        wait_s = FIRST_RETRY_S
        while True:
            try:
                await self._work.refuse(message, error)
            except Unavailable as away:
                log.warning("%s agent: %s; retrying in %.1f s", self._agent, away, wait_s)
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, LAST_RETRY_S)
            else:
                return

    async def _tick(self, partition: int) -> None:
        if self._work.tick is None:
            return
        try:
            await self._work.tick(partition)
        except Unavailable as error:
            log.warning("%s agent, partition %d: %s; the timer comes again", self._agent, partition, error)


class _Lane:
    def __init__(self, lanes: Lanes, partition: int):
        self._lanes = lanes
        self._partition = partition
        self.queue: asyncio.Queue[tuple[LoggedMessage, Acknowledge]] = asyncio.Queue(lanes._rules.capacity)
        self._closing = False
        self._task = asyncio.create_task(self._run(), name=f"{lanes._agent}-lane-{partition}")

    async def finish(self, within_s: float) -> None:
        self._closing = True
        while not self.queue.empty():
            self.queue.get_nowait()
        _, unfinished = await asyncio.wait([self._task], timeout=within_s)
        if unfinished:
            log.warning(
                "lane %s did not finish within %.1f s; its batch will be delivered again",
                self._task.get_name(),
                within_s,
            )
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        rules = self._lanes._rules
        ticked = time.monotonic()
        while not self._closing:
            batch = await self._collected()
            if batch:
                await self._lanes._work_on(self._partition, batch)
            if time.monotonic() - ticked >= rules.tick_every_s and not self._closing:
                await self._lanes._tick(self._partition)
                ticked = time.monotonic()

    async def _collected(self) -> list[tuple[LoggedMessage, Acknowledge]]:
        rules = self._lanes._rules
        try:
            batch = [await asyncio.wait_for(self.queue.get(), min(rules.tick_every_s, 1.0))]
        except TimeoutError:
            return []
        deadline_s = time.monotonic() + rules.gather_s
        waiting = -1
        # While more keep coming, gather a fuller batch: a user's state is then written less often.
        while waiting < self.queue.qsize() < rules.limit - 1 and time.monotonic() < deadline_s:
            waiting = self.queue.qsize()
            await asyncio.sleep(rules.linger_s)
        if self._closing:
            return []
        while len(batch) < rules.limit and not self.queue.empty():
            batch.append(self.queue.get_nowait())
        return batch
