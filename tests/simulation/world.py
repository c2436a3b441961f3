"""One run: a shop's events, workers, faults, rest, and what must then hold.

Real are `streams.group`, `lanes`, `tables`, `state_db` (SQLite), `feature_writer`, `quiet`, `upkeep`, the agents and
the pure folds; simulated are the broker, the online store, the disk's room, threads and time.
"""

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random
from unittest import mock

from aiokafka import TopicPartition
from prometheus_client import CollectorRegistry

from contracts.events import Impression, Interaction
from contracts.ids import EventId, UserId
from contracts.topics import EVENTS
from contracts.wire import encode
from streams import tables
from streams.metrics import StreamMetrics
from tests.simulation.broker import Broker
from tests.simulation.checks import Checks
from tests.simulation.faults import KINDS, UNTIL_S, Fault, drawn
from tests.simulation.group import Consumer
from tests.simulation.loop import VirtualLoop
from tests.simulation.worker import QUIET_S, SimDb, Store, Worker
from tests.streams.shop import cart, click, impression, purchase, rating, search, view

MEMORY = Path("/dev/shm")
METRICS = StreamMetrics(CollectorRegistry())
USERS = [f"user-{number}" for number in range(6)]
ITEMS = "abcde"
EVENT_COUNT = 45
REST_WITHIN_S = 150.0


class Failed(AssertionError):
    """What did not hold, with the seed, the faults and the command that runs it again."""


def shop(random: Random) -> list[Interaction | Impression]:
    """Events in the order of time, with pauses that end windows and sessions, and some sent twice."""
    events: list[Interaction | Impression] = []
    minutes = 0.0
    for number in range(EVENT_COUNT):
        minutes += random.choice([0, 0, 0.5, 1, 2, 5, 12, 40])
        item, kind = random.choice(ITEMS), random.randrange(10)
        made: Interaction | Impression
        if kind < 3:
            made = impression(f"r{number}", minutes, *random.sample(ITEMS, 3))
        elif kind < 8:
            made = random.choice([view, view, click, cart, purchase])(item, minutes)
        elif kind == 8:
            made = rating(item, minutes, random.choice([1.0, 5.0]))
        else:
            made = search(minutes)
        user = UserId(random.choice(USERS))
        events.append(made.model_copy(update={"user_id": user, "event_id": EventId(f"e{number}")}))
        if random.random() < 0.04:
            events.append(events[-1])
    return events


class World:
    """One run.

    Args:
        seed: Decides everything.
        disturbed: Whether faults happen.
        consumer: The class of the workers' consumers.
    """

    def __init__(self, seed: int, disturbed: bool = True, consumer: type[Consumer] = Consumer):
        self.seed = seed
        self.random = Random(seed)
        self.loop = VirtualLoop(Random(seed + 1))
        self.broker = Broker(self.loop, Random(seed + 2), self.random.randint(1, 3))
        self.store = Store()
        self.faults: list[Fault] = drawn(self.random) if disturbed else []
        self.trace: list[str] = []
        self.problems: list[str] = []
        self.workers: list[Worker] = []
        self._dead: list[Worker] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._consumer = consumer
        self._root = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self._started = 0
        self.checks = Checks(self.broker, self.store, self.problems.append)

    def run(self) -> None:
        """Runs it to its end. Raises Failed."""
        level = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        try:
            with mock.patch.object(tables, "StateDb", SimDb):
                self.loop.run_until_complete(self._run())
        except Exception as error:
            self.problems.append(repr(error))
            if not isinstance(error, (AssertionError, RuntimeError)):
                raise
        finally:
            for worker in self.workers:
                worker.life.kill()
            logging.disable(level)
            self.loop.close()
            shutil.rmtree(self._root, ignore_errors=True)
        self.problems += [str(context) for context in self.loop.unexpected]
        if self.problems:
            raise Failed(self.told())

    def told(self) -> str:
        """The problems and how they came about."""
        return "\n".join(
            [
                f"seed {self.seed}: {len(self.problems)} problems; again: python -m tests.simulation {self.seed}",
                *self.problems[:5],
                *(f"    {line}" for line in self.trace),
            ]
        )

    def note(self, what: str) -> None:
        self.trace.append(f"{self.loop.time():7.2f} s  {what}")

    def later(self, delay_s: float, call: Callable[[], object]) -> None:
        self.loop.call_later(delay_s, call)

    def pick(self, number: int) -> Worker:
        return self.workers[number % len(self.workers)]

    def join(self, directory: Path | None = None) -> Worker:
        """One more worker, in a folder of its own or in one that a dead worker left."""
        self._started += 1
        name = f"w{self._started}"
        worker = Worker(
            name, self.broker, self.store, directory or self._root / name, METRICS, self.problems.append, self._consumer
        )
        worker.life.on_death.append(lambda: self._died(worker))
        self.workers.append(worker)
        worker.start()
        self.note(f"{name} starts in {worker.directory.name}")
        return worker

    def kill(self, number: int, lose_copies: bool = False) -> None:
        worker = self.pick(number)
        worker.life.kill()
        if lose_copies:
            worker.lose_copies()

    def stop(self, number: int) -> None:
        self._task(self.pick(number).stop())

    def _died(self, worker: Worker) -> None:
        self.note(f"{worker.life.name} is dead")
        if worker in self.workers:
            self.workers.remove(worker)
            self._dead.append(worker)
            if not self._ended and (not self.workers or self.random.random() < 0.7):
                self.later(self.random.uniform(0.05, 4.0), lambda: self.join(worker.directory))
                if not self.workers:
                    self.join()

    def _task(self, work: object) -> None:
        task = self.loop.create_task(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    _ended = False

    async def _run(self) -> None:
        self._task(self.broker.coordinator.run())
        events = shop(self.random)
        for _ in range(self.random.randint(1, 3)):
            self.join()
        publishing = self.loop.create_task(self._publish(events))
        for fault in self.faults:
            await asyncio.sleep(max(0.0, fault.at_s - self.loop.time()))
            self.note(f"{fault.name} ({fault.number}, {fault.lasts_s:.1f} s)")
            KINDS[fault.name](self, fault)
        await asyncio.sleep(max(0.0, UNTIL_S - self.loop.time()))
        await publishing
        ended_s = max((fault.at_s + fault.lasts_s + 2.0 for fault in self.faults), default=0.0)
        await asyncio.sleep(max(0.0, ended_s - self.loop.time()))
        await self._rest()
        self._ended = True
        lost = self.random.random() < 0.3
        directory = self.random.choice(sorted(self._root.iterdir()))  # also one that a worker left long ago
        for worker in list(self.workers):
            worker.life.kill()
        if lost:
            shutil.rmtree(directory, ignore_errors=True)
        self.note(f"all workers end; one starts in {directory.name}, its copies {'lost' if lost else 'kept'}")
        last = self.join(directory)
        if self.random.random() < 0.4:
            last.life.kill_on_disk = self.random.randrange(14)
        await self._rest(directory)
        self.checks.at_rest(self.workers)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.sleep(0)

    async def _publish(self, events: list[Interaction | Impression]) -> None:
        for event in events:
            if self.random.random() < 0.4:
                await asyncio.sleep(self.random.uniform(0.0, 1.0))
            while not self.broker.published(EVENTS, event.user_id, encode(event)):
                await asyncio.sleep(0.3)

    async def _rest(self, again_in: Path | None = None) -> None:
        """Returns once everything is read, written and committed and no window is due.

        Where a folder is given, a worker starts in it whenever none is left.
        """
        until_s = self.loop.time() + REST_WITHIN_S
        while not self._at_rest():
            await asyncio.sleep(0.5)
            if again_in is not None and not self.workers:
                self.join(again_in)
            if self.loop.time() > until_s:
                raise Failed(f"found no rest within {REST_WITHIN_S} s: {self._unrest()}")
        await asyncio.sleep(QUIET_S + 1.5)  # the timers: windows, and the store's marks
        while not self._at_rest():
            await asyncio.sleep(0.5)
            if self.loop.time() > until_s:
                raise Failed(f"found no rest within {REST_WITHIN_S} s: {self._unrest()}")

    def _unrest(self) -> list[str]:
        found = []
        for topic in (EVENTS.name, "item-touches"):
            for number in range(self.broker.partitions):
                where = TopicPartition(topic, number)
                end = len(self.broker.read(where))
                if self.broker.commits.get(where, 0) != end:
                    found.append(f"{topic}-{number} committed {self.broker.commits.get(where)} of {end}")
        found += [f"{worker.life.name} has rows waiting" for worker in self.workers if not worker.at_rest()]
        owned = [place for worker in self.workers for place in worker.group.owned()]
        if len(owned) != 2 * self.broker.partitions or any(worker.group.opening() for worker in self.workers):
            found.append(f"owned: {sorted(owned)}")
        return found or self.checks.windows_due()

    def _at_rest(self) -> bool:
        return not self._unrest()


def run(seed: int, consumer: type[Consumer] = Consumer, *patches: object) -> None:
    """One disturbed run, with planted faults where given. Raises Failed."""
    with ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch)  # type: ignore[arg-type]
        World(seed, consumer=consumer).run()
