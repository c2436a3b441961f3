"""A lane: the work on one owned partition of an agent's topic, from opening its states to the offset that is done.

It takes what has come, works on it in order, and only then counts it as done:

1. ask what is committed, and open the partition's states; 2. fetch a batch behind the last one, without a gap;
3. process it (fold, publish and await, write the table); 4. count it as done. What is done and written everywhere
(`held`) is committed by the group.

A crash before the commit brings the batch again. What the environment does (the log, a store, the disk or the memory
is away) is waited out for ever, with back-off. Any other failure is a bug: the messages are then tried one by one, and
what fails alone, twice, on a machine that is otherwise well, is dead-lettered.
"""

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from contracts.errors import LogUnavailable, MessageTooLarge, StatesLost, Unavailable, UnknownFormat
from contracts.ports import LoggedMessage
from contracts.topics import Topic
from streams.clients import asked_to_end, ended
from streams.lane_work import Batch, Hand, LaneContext, LaneRules, LaneWork
from streams.short_log import ShortLog

log = logging.getLogger(__name__)

STUCK_AFTER_S = 90.0
"""Each wait of a batch's work is bounded far below this: one that takes longer waits for what never comes."""

FIRST_RETRY_S = 0.2
LAST_RETRY_S = 5.0
SECOND_TRY_AFTER_S = 0.5

ENVIRONMENT = (Unavailable, OSError, MemoryError, sqlite3.OperationalError)
"""Never a message's fault."""


@dataclass(frozen=True)
class OfAgent:
    """What the lanes of one agent share.

    Attributes:
        agent: Name in metrics and logs.
        topic: What it reads.
        work: What to do.
        rules: How to batch.
        context: What all lanes of the worker share.
        hand: Who runs a batch.
    """

    agent: str
    topic: Topic
    work: LaneWork
    rules: LaneRules
    context: LaneContext
    hand: Hand


class Lane:
    """The lane; its task starts with it.

    Attributes:
        open: Whether the partition's states are open.
        restored: Changelog messages applied so far while they are opened.

    Args:
        lanes: What it shares with the agent's other lanes.
        partition: Its partition.
    """

    def __init__(self, lanes: OfAgent, partition: int):
        self._lanes = lanes
        self._partition = partition
        self._closing = False
        self._next = 0
        self._done: int | None = None
        self._sought: int | None = None
        self._short = ShortLog(f"{lanes.topic.name}-{partition}")
        self.open = False
        self.restored = 0
        self._working = False
        self._waiting = False
        self._task = asyncio.create_task(self._run(), name=f"{lanes.agent}-lane-{partition}")

    def safe_offset(self) -> int | None:
        """The offset that may be committed; None where nothing is done yet."""
        held = self._lanes.work.held(self._partition)
        if self._done is None or held is None:
            return self._done
        return min(self._done, held)

    async def finish(self) -> None:
        """Finishes the batch in work, within `drain_s`, and ends the lane."""
        self._closing = True
        if not self._working or self._waiting:
            self._task.cancel()
        _, unfinished = await asyncio.wait([self._task], timeout=self._lanes.rules.drain_s)
        if unfinished:
            log.warning(
                "lane %s did not finish within %.1f s; its batch will be delivered again",
                self._task.get_name(),
                self._lanes.rules.drain_s,
            )
            await ended(self._task, again_after_s=5.0)

    async def _run(self) -> None:
        try:
            await self._opened()
            ticked_s = float("-inf")
            while not self._closing:
                batch = await self._collected()
                if self._short_of_the_log():
                    self._give_back(batch)
                    await asyncio.sleep(FIRST_RETRY_S)
                    continue
                if batch:
                    await self._work_on(batch)
                elif self._lanes.work.tick is None:
                    continue
                if _now_s() - ticked_s >= self._lanes.rules.tick_every_s and not self._closing:
                    more = await self._tick()
                    ticked_s = float("-inf") if more else _now_s()
        except (UnknownFormat, StatesLost) as error:
            self._lanes.context.stop(error)
        except asyncio.CancelledError:
            if asked_to_end():
                raise
            self._lanes.context.stop(LogUnavailable(f"found {self._task.get_name()} cancelled by a client of the log"))
        except Exception as error:
            log.exception("%s failed outside its work", self._task.get_name())
            self._lanes.context.stop(error)

    async def _opened(self) -> None:
        source, topic = self._lanes.context.source, self._lanes.topic.name

        async def place_and_open() -> None:
            # In this order: what is committed when the states are read is in them. The other way round another owner
            # may fold and commit between the two, and a lane that was held up there goes on behind events that its
            # states lack.
            committed = await source.committed(topic, self._partition)
            await self._lanes.work.open(self._partition, self._restored)
            self._next = committed or 0
            if committed is not None:
                source.seek(topic, self._partition, committed)

        await self._persistently("open", place_and_open)
        self.open = True

    def _short_of_the_log(self) -> bool:
        folded = self._lanes.work.folded_to(self._partition)
        end = self._lanes.context.source.highwater(self._lanes.topic.name, self._partition)
        return self._short.check(max(self._next, folded + 1), end, _now_s())

    def _give_back(self, batch: list[LoggedMessage]) -> None:
        """The batch is fetched again, where the log was only behind for a moment."""
        if batch:
            with contextlib.suppress(LogUnavailable):  # the next fetch finds a gap, and seeks
                self._lanes.context.source.seek(self._lanes.topic.name, self._partition, batch[0].offset)

    def _restored(self, count: int) -> None:
        self.restored = count

    async def _collected(self) -> list[LoggedMessage]:
        rules, topic = self._lanes.rules, self._lanes.topic.name
        source = self._lanes.context.source
        batch: list[LoggedMessage] = []  # what came is kept when the log goes away: the source does not give it again
        try:
            batch = await source.fetch(topic, self._partition, rules.limit, min(rules.tick_every_s, 1.0))
            deadline_s = _now_s() + rules.gather_s
            # While more keep coming, gather a fuller batch: a user's state is then written less often.
            while batch and len(batch) < rules.limit and _now_s() < deadline_s:
                await asyncio.sleep(rules.linger_s)
                more = await source.fetch(topic, self._partition, rules.limit - len(batch), 0.0)
                if not more:
                    break
                batch += more
        except LogUnavailable as error:
            log.warning("%s: %s", self._task.get_name(), error)
            await asyncio.sleep(FIRST_RETRY_S)
        return self._without_a_gap(batch)

    def _without_a_gap(self, batch: list[LoggedMessage]) -> list[LoggedMessage]:
        """The batch, where it goes on behind the last one; else nothing, and the log is read from there again.

        A log has holes where it was compacted, where transactions ended, and where its oldest part expired: the same
        hole twice is the log's own.
        """
        while batch and batch[0].offset < self._next:
            batch.pop(0)
        if self._lanes.topic.compacted or not batch:
            return batch
        expected = batch[0].offset if self._sought == self._next else self._next
        for index, message in enumerate(batch):
            if message.offset != expected:
                if index:
                    return self._cut(batch[:index], expected)
                log.warning("%s: found offset %d, expected %d", self._task.get_name(), message.offset, expected)
                self._lanes.context.metrics.gaps.labels(self._lanes.topic.name).inc()
                return self._cut([], expected)
            expected += 1
        return batch

    def _cut(self, batch: list[LoggedMessage], offset: int) -> list[LoggedMessage]:
        try:
            self._lanes.context.source.seek(self._lanes.topic.name, self._partition, offset)
        except LogUnavailable as error:  # the next fetch finds the same gap
            log.warning("%s: %s", self._task.get_name(), error)
            return batch
        if not batch:
            self._sought = offset
        return batch

    async def _work_on(self, messages: list[LoggedMessage]) -> None:
        started_s = time.perf_counter()
        metrics, progress = self._lanes.context.metrics, self._lanes.context.progress
        last = messages[-1]
        progress.received(last.topic, last.partition, last.offset)
        self._working = True
        try:
            error = await self._failure(messages)
            if error is not None:
                log.error("%s: a batch of %d failed", self._task.get_name(), len(messages), exc_info=error)
                for message in messages:
                    await self._alone(message)
        finally:
            self._working = False
        self._next = self._done = last.offset + 1
        progress.done(last.topic, last.partition, last.offset)
        metrics.events_in.labels(last.topic).inc(len(messages))
        metrics.batch_seconds.labels(self._lanes.agent).observe(time.perf_counter() - started_s)

    async def _failure(self, messages: Sequence[LoggedMessage]) -> Exception | None:
        """What the work raised that is no fault of the environment; None once the messages are dealt with."""
        try:
            await self._persistently("process", lambda: self._handed(messages))
        except UnknownFormat:
            raise
        except Exception as error:  # noqa: BLE001 - it is the caller's to judge
            return error
        return None

    async def _alone(self, message: LoggedMessage) -> None:
        error = await self._failure([message])
        if error is None:
            return
        log.warning("%s: the message at %d fails alone: %r", self._task.get_name(), message.offset, error)
        await self._well()
        await asyncio.sleep(SECOND_TRY_AFTER_S)
        again = await self._failure([message])
        if again is not None:
            await self._persistently("refuse", lambda: self._lanes.work.refuse(message, again))

    async def _well(self) -> None:
        """Returns once disk and log take a write."""
        healthy = self._lanes.work.healthy
        wait_s = FIRST_RETRY_S
        while healthy is not None and not await healthy():
            log.warning("%s: the machine is not well; no message is blamed for it", self._task.get_name())
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LAST_RETRY_S)

    async def _handed(self, messages: Sequence[LoggedMessage]) -> None:
        batch = Batch(self._partition, messages, self._lanes.work.process)
        await self._lanes.hand(batch)
        try:
            async with asyncio.timeout(STUCK_AFTER_S) as limit:
                await batch.done()
        except TimeoutError:
            if limit.expired():
                # The work may still go on: only the end of the process, and the partition's next owner, is safe.
                self._lanes.context.stop(LogUnavailable(f"found {self._task.get_name()} stuck for {STUCK_AFTER_S} s"))
            raise

    async def _persistently(self, what: str, action: Callable[[], Awaitable[None]]) -> None:
        """Calls until it succeeds or fails with what is no fault of the environment."""
        wait_s = FIRST_RETRY_S
        while True:
            try:
                return await action()
            except MessageTooLarge:
                raise  # the message's doing: waiting for it would hold up the partition for ever
            except ENVIRONMENT as error:
                self._lanes.context.metrics.retries.labels(self._lanes.agent).inc()
                log.warning("%s, %s: %s; again in %.1f s", self._task.get_name(), what, error or repr(error), wait_s)
                self._waiting = True
                await asyncio.sleep(wait_s)
                self._waiting = False
                wait_s = min(2 * wait_s, LAST_RETRY_S)

    async def _tick(self) -> bool:
        work = self._lanes.work
        if work.tick is None or self._next <= work.folded_to(self._partition):
            return False
        self._working = True
        try:
            return await work.tick(self._partition)
        except ENVIRONMENT as error:
            log.warning("%s: %s; the timer comes again", self._task.get_name(), error)
        except UnknownFormat:
            raise
        except Exception:
            log.exception("%s: the timer failed", self._task.get_name())
        finally:
            self._working = False
        return False


def _now_s() -> float:
    return asyncio.get_running_loop().time()
