"""Real stream workers on a real Apache Kafka, under load, with faults; the truth is the pure fold of the log.

`Fleet` starts, kills, ends, stops and continues workers. `Load` publishes impressions, clicks, purchases and
cancellations and remembers what was acknowledged. `tests/faults/verdict.py` compares what came out.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import httpx

from contracts.clock import utc_now
from contracts.errors import LogUnavailable
from contracts.events import Click, ImpressedItem, Impression, Interaction, Purchase
from contracts.ids import EventId, ItemId, RequestId, UserId
from contracts.settings import Settings
from contracts.topics import EVENTS, ITEM_TOUCHES
from contracts.wire import encode
from eventlog.lag import group_lag
from eventlog.producer import KafkaLog
from feature_repo.store_config import apply
from tests.builders import servers

USERS_AT_ONCE = 40
ITEMS = 80
EVENT_EVERY_MS = 50
SHOWN = 4


@dataclass
class Load:
    """Publishes at a steady rate from a thread of its own.

    Attributes:
        acknowledged: Ids of the events that the log has acknowledged.
        failed: How many it has not.
    """

    bootstrap: str
    rate: int
    seed: int = 7
    acknowledged: set[EventId] = field(default_factory=set)
    failed: int = 0
    users: set[UserId] = field(default_factory=set)
    sent: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._log = KafkaLog(self.bootstrap, "load", 5)
        self._base = utc_now() - timedelta(hours=20)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._bought: list[tuple[UserId, ItemId]] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def cut_off(self) -> None:
        """Ends the load at once, however it stands."""
        self._stopping.set()

    def stop(self) -> None:
        """Ends the load; then every user's last click, far later, closes what is open, so that the end is one state."""
        self._stopping.set()
        self._thread.join()
        left = sorted(self.users)
        for _ in range(60):
            sent = {user: self._publish(self._last(user)) for user in left}
            left = [user for user, one in sent.items() if one.exception(20) is not None]
            if not left:
                self._log.close()
                return
            time.sleep(1)
        raise RuntimeError("found the log away for a minute; expected it back")

    def _last(self, user: UserId) -> Click:
        return Click(event_id=self._id(), user_id=user, item_id=ItemId("last"), at=self._at() + timedelta(hours=2))

    def _run(self) -> None:
        every_s = 0.04
        due_s = time.monotonic()
        while not self._stopping.is_set():
            for _ in range(max(1, round(self.rate * every_s))):
                self._publish(self._event())
            due_s += every_s
            self._stopping.wait(max(0.0, due_s - time.monotonic()))

    def _event(self) -> Interaction | Impression:
        draw = self._random
        user = UserId(f"user-{self.sent // 400}-{draw.randrange(USERS_AT_ONCE)}")
        self.users.add(user)
        kind = draw.random()
        item = ItemId(f"item-{draw.randrange(ITEMS)}")
        if kind < 0.15:
            shown = draw.sample(range(ITEMS), SHOWN)
            items = tuple(
                ImpressedItem(item_id=ItemId(f"item-{number}"), position=place, score=1.0)
                for place, number in enumerate(shown)
            )
            return Impression(
                event_id=self._id(), user_id=user, at=self._at(), request_id=RequestId(f"r{self.sent}"),
                surface="recommendations", model_version=None, items=items,
            )  # fmt: skip
        if kind < 0.22 and self._bought:
            user, item = self._bought.pop()
            return Purchase(event_id=self._id(), user_id=user, item_id=item, at=self._at(), quantity=-1)
        if kind < 0.35:
            self._bought.append((user, item))
            return Purchase(event_id=self._id(), user_id=user, item_id=item, at=self._at(), quantity=2)
        return Click(event_id=self._id(), user_id=user, item_id=item, at=self._at())

    def _publish(self, event: Interaction | Impression) -> "Future[None]":
        self.sent += 1
        sent = self._log.publish(EVENTS, event.user_id, encode(event))
        sent.add_done_callback(lambda done: self._settled(event.event_id, done))
        return sent

    def _settled(self, event_id: EventId, done: "Future[None]") -> None:
        with self._lock:
            if done.exception() is None:
                self.acknowledged.add(event_id)
            else:
                self.failed += 1

    def _id(self) -> EventId:
        return EventId(f"e{self.seed}-{self.sent}")

    def _at(self) -> datetime:
        return self._base + timedelta(milliseconds=EVENT_EVERY_MS * self.sent)


@dataclass
class Worker:
    """One `python -m streams`."""

    settings: Settings
    process: subprocess.Popen[bytes]
    log: Path

    def folded(self) -> float:
        """Events that this process has folded so far; 0 while it does not answer."""
        try:
            text = httpx.get(f"http://127.0.0.1:{self.settings.streams_metrics_port}/metrics", timeout=2).text
        except httpx.HTTPError:
            return 0.0
        lines = [line for line in text.splitlines() if 'agent="users",outcome="counted"' in line and "_total" in line]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


class Fleet:
    """Workers by number, all of one group.

    Args:
        cluster: Where the log is; its topics are there.
        root: For the workers' directories and logs.
        own_directories: Whether each worker has a state directory of its own; else all share one.
        redis_url: Online store; empty for SQLite, which needs a shared directory.
    """

    def __init__(self, cluster: servers.KafkaCluster, root: Path, own_directories: bool, redis_url: str = ""):
        self.cluster = cluster
        self.app_id = f"fleet{servers.free_port()}"
        self.redis_url = redis_url
        self._root = root
        self._own = own_directories
        self.workers: dict[int, Worker] = {}
        self._ports: dict[int, int] = {}

    def settings(self, number: int) -> Settings:
        """A worker's settings."""
        port = self._ports.setdefault(number, servers.free_port())
        return Settings(
            state_dir=self._root / (f"state-{number}" if self._own else "state"),
            kafka_bootstrap=self.cluster.bootstrap,
            app_id=self.app_id,
            redis_url=self.redis_url,
            streams_metrics_port=port,
            gateway_port=servers.free_port(),
            vectors_port=servers.free_port(),
            archive_flush_every_s=2.0,
        )

    def start(self, number: int) -> Worker:
        """Starts a worker, or starts it again; returns at once."""
        settings = self.settings(number)
        if not (settings.feast_dir / "registry.db").exists():
            apply(settings)
        names = (
            "state_dir", "kafka_bootstrap", "app_id", "redis_url", "streams_metrics_port", "gateway_port",
            "vectors_port", "archive_flush_every_s",
        )  # fmt: skip
        environment = {f"MILLSTREAM_{name.upper()}": str(getattr(settings, name)) for name in names}
        log = self._root / f"worker-{number}.log"
        with log.open("ab") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "streams"],
                env=os.environ | environment | {"OMP_NUM_THREADS": "1"},
                stderr=errors,
            )
        self.workers[number] = Worker(settings, process, log)
        return self.workers[number]

    def kill(self, number: int) -> None:
        """SIGKILL."""
        self.workers[number].process.kill()
        self.workers[number].process.wait()

    def end(self, number: int, within_s: float = 40.0) -> int:
        """SIGTERM; returns the exit status."""
        self.workers[number].process.terminate()
        return self.workers[number].process.wait(within_s)

    @contextmanager
    def stopped(self, number: int) -> Iterator[None]:
        """SIGSTOP for the block, as a laptop that sleeps or a machine that is moved."""
        self.workers[number].process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.workers[number].process.send_signal(signal.SIGCONT)

    def wait_until_folding(self, number: int, within_s: float = 90.0) -> None:
        """Returns once the worker has folded an event.

        Raises:
            RuntimeError: it has not; the end of its log is shown.
        """
        wait_until(lambda: self.workers[number].folded() > 0, within_s, lambda: self.tail(number))

    def lag(self) -> dict[str, int]:
        """Messages of the streams' own topics that are not committed."""
        return group_lag(self.cluster.bootstrap, self.app_id, (EVENTS, ITEM_TOUCHES))

    def wait_until_caught_up(self, within_s: float = 120.0) -> None:
        """Returns once everything is committed."""
        wait_until(lambda: not any(self.lag().values()), within_s, lambda: f"lag {self.lag()}")

    def tail(self, number: int) -> str:
        """The last lines of a worker's log."""
        return "\n".join(self.workers[number].log.read_text(errors="replace").splitlines()[-15:])

    def close(self) -> None:
        """Ends what still runs."""
        for worker in self.workers.values():
            if worker.process.poll() is None:
                worker.process.send_signal(signal.SIGCONT)
                worker.process.kill()
                worker.process.wait()


@contextmanager
def under_load(
    root: Path, rate: int, *, brokers: int = 1, own_directories: bool = False, redis_url: str = "", seed: int = 7
) -> Iterator[tuple[Fleet, Load]]:
    """A fleet and a load on a Kafka of their own, neither started; in the end all of it is ended, however it stands."""
    with servers.kafka_cluster(root / "kafka", brokers) as cluster:
        servers.with_topics(cluster.bootstrap, embedded=False)
        fleet, load = Fleet(cluster, root, own_directories, redis_url), Load(cluster.bootstrap, rate, seed)
        try:
            yield fleet, load
        finally:
            load.cut_off()
            fleet.close()


def wait_until(condition: Callable[[], bool], within_s: float, shown: Callable[[], str]) -> None:
    """Polls until the condition holds; an outage of the log is waited out like everything else.

    Raises:
        RuntimeError: it does not hold in time.
    """
    deadline_s = time.monotonic() + within_s
    while True:
        try:
            if condition():
                return
        except LogUnavailable:
            pass
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"found the condition false after {within_s} s; expected it true; {shown()}")
        time.sleep(0.3)
