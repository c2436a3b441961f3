"""The archive's thread: one bad message costs nothing but itself, a full disk is waited out, an error begins anew."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from contracts.errors import LogUnavailable
from contracts.ports import LoggedMessage
from contracts.topics import EVENTS
from contracts.wire import encode
from feature_repo.archive import ArchiveReader, ArchiveWriter
from feature_repo.archive_merge import Merged
from feature_repo.archive_rows import Row
from streams.agents.archive import ARCHIVED, FAILURES_IN_A_ROW, ArchiveAgent
from streams.archived_messages import row_of
from streams.metrics import StreamMetrics
from tests.builders.files import fill, small_disk
from tests.streams.doubles import NOW
from tests.streams.shop import ANN, click, logged, purchase, view


class Log:
    """Messages, and how far they were committed; each reader begins there, as after a crash."""

    def __init__(self, *messages: LoggedMessage) -> None:
        self.messages = list(messages)
        self.committed = 0
        self.polls = 0

    def open(self) -> "Reader":
        return Reader(self)


class Reader:
    def __init__(self, log: Log) -> None:
        self._log = log
        self._at = log.committed

    def poll(self, timeout_s: float) -> list[LoggedMessage]:
        self._log.polls += 1
        polled = self._log.messages[self._at :]
        self._at = len(self._log.messages)
        if not polled:
            time.sleep(0.01)
        return polled

    def commit(self) -> None:
        self._log.committed = self._at

    def lag(self) -> dict[str, int]:
        return {EVENTS.name: len(self._log.messages) - self._at}

    def close(self) -> None:
        pass


class Rig:
    """An archive agent over a log in memory and a real directory."""

    def __init__(self, directory: Path, log: Log, merge: Callable[[], Merged | None] = lambda: None) -> None:
        self.directory, self.log = directory, log
        self.metrics = StreamMetrics(CollectorRegistry())
        self.refused: list[tuple[LoggedMessage, Exception]] = []
        self.outages: Iterator[Exception] = iter(())
        self.given_up = threading.Event()
        self.writers = {dataset: ArchiveWriter(directory, dataset) for _, dataset in ARCHIVED.values()}
        self.agent = ArchiveAgent(
            open_reader=log.open, writers=self.writers, metrics=self.metrics, flush_every_s=0.02, clock=lambda: NOW,
            refuse=lambda message, error: self.refuse(message, error), merge=merge,
            give_up=lambda reason: self.given_up.set(),
        )  # fmt: skip

    def refuse(self, message: LoggedMessage, error: Exception) -> None:
        self.refused.append((message, error))
        for outage in self.outages:
            raise outage

    def archived(self) -> list[str]:
        return [str(item) for item in ArchiveReader(self.directory).read("events")["item_id"].to_pylist()]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Rig], Rig]]:
    """Starts a rig's thread, with short waits, and stops it at the end."""
    monkeypatch.setattr("streams.agents.archive.RETRY_S", 0.02)
    monkeypatch.setattr("streams.agents.archive.MERGE_EVERY_S", 0.0)
    started: list[Rig] = []

    def start(rig: Rig) -> Rig:
        started.append(rig)
        rig.agent.start()
        return rig

    yield start
    for rig in started:
        rig.agent.stop()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.01)


def value(metric: object) -> float:
    return float(metric._value.get())  # type: ignore[attr-defined]


@pytest.fixture
def no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """No row can be made of item "bad", which no rule has foreseen."""

    def made(message: LoggedMessage, now: datetime) -> Row | None:
        if b'"item_id":"bad"' in (message.value or b""):
            raise OverflowError("int too big to convert")
        return row_of(message, now)

    monkeypatch.setattr("streams.agents.archive.row_of", made)


@pytest.mark.usefixtures("no_row")
def test_a_message_that_no_row_can_hold_costs_itself_alone(tmp_path: Path, run: Callable[[Rig], Rig]) -> None:
    bad = logged(purchase("bad", 1), 1)
    rig = run(Rig(tmp_path, Log(logged(click("a", 0), 0), bad, logged(click("b", 2), 2))))
    wait_until(lambda: rig.log.committed == 3)
    assert rig.archived() == ["a", "b"]
    assert [message for message, _ in rig.refused] == [bad]
    assert value(rig.metrics.archive_refused.labels(EVENTS.name)) == 1
    assert value(rig.metrics.archive_restarts) == 0


@pytest.mark.parametrize(
    ("good", "wrong"),
    [
        (b'"2026-03-02T12:00:00Z"', b'"0001-01-01T00:00:00+14:00"'),
        (b'"quantity":1', b'"quantity":9223372036854775808'),
    ],
)
def test_a_time_or_a_number_out_of_bounds_is_passed_over_like_any_wrong_field(
    tmp_path: Path, run: Callable[[Rig], Rig], good: bytes, wrong: bytes
) -> None:
    raw = encode(purchase("bad", 0)).replace(good, wrong)
    assert wrong in raw
    bad = LoggedMessage(EVENTS.name, 0, 0, ANN.encode(), raw)
    rig = run(Rig(tmp_path, Log(bad, logged(click("a", 1), 1))))
    wait_until(lambda: rig.log.committed == 2)
    assert (rig.archived(), rig.refused) == (["a"], [])


def test_a_disk_that_refuses_is_waited_out_and_nothing_more_is_read_meanwhile(
    tmp_path: Path, run: Callable[[Rig], Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path, Log(logged(view("a", 0), 0)))
    flush, full = rig.writers["events"].flush, True

    def refuses() -> Sequence[Path]:
        if full:
            raise OSError(28, "No space left on device")
        return flush()

    monkeypatch.setattr(rig.writers["events"], "flush", refuses)
    run(rig)
    wait_until(lambda: bool(rig.agent.waiting()))
    polls = rig.log.polls
    rig.log.messages.append(logged(view("b", 1), 1))
    time.sleep(0.1)
    assert "No space left" in rig.agent.waiting()["archive"]
    assert value(rig.metrics.archive_waiting) == 1
    assert (rig.log.polls, rig.log.committed) == (polls, 0)
    full = False
    wait_until(lambda: rig.log.committed == 2)
    assert rig.archived() == ["a", "b"]
    assert rig.agent.waiting() == {}
    assert value(rig.metrics.archive_waiting) == 0
    assert value(rig.metrics.archive_restarts) == 0


def test_an_unexpected_error_begins_anew_from_the_last_commit(
    tmp_path: Path, run: Callable[[Rig], Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path, Log(logged(view("a", 0), 0), logged(view("b", 1), 1)))
    append, failures = rig.writers["events"].append, iter([RuntimeError("a bug"), RuntimeError("another")])

    def fails_twice(rows: object) -> object:
        for error in failures:
            raise error
        return append(rows)  # type: ignore[arg-type]

    monkeypatch.setattr(rig.writers["events"], "append", fails_twice)
    run(rig)
    wait_until(lambda: rig.log.committed == 2)
    assert rig.archived() == ["a", "b"]
    assert value(rig.metrics.archive_restarts) == 2
    assert not rig.given_up.is_set()


@pytest.mark.usefixtures("no_row")
def test_a_message_that_could_not_be_refused_is_read_again_and_none_after_it_is_lost(
    tmp_path: Path, run: Callable[[Rig], Rig]
) -> None:
    bad = logged(purchase("bad", 1), 0)
    rig = Rig(tmp_path, Log(bad, logged(view("a", 0), 1)))
    rig.outages = iter([LogUnavailable("found no broker; expected one; try again")])
    run(rig)
    wait_until(lambda: rig.log.committed == 2)
    assert rig.archived() == ["a"]
    assert [message for message, _ in rig.refused] == [bad, bad]


def test_the_third_error_in_a_row_ends_the_process_and_commits_nothing(
    tmp_path: Path, run: Callable[[Rig], Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path, Log(logged(view("a", 0), 0)))

    def fails(rows: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(rig.writers["events"], "append", fails)
    run(rig)
    assert rig.given_up.wait(10)
    assert value(rig.metrics.archive_restarts) == FAILURES_IN_A_ROW
    assert rig.log.committed == 0


def test_a_merge_that_fails_holds_up_nothing(tmp_path: Path, run: Callable[[Rig], Rig]) -> None:
    tried = threading.Event()

    def fails() -> Merged | None:
        tried.set()
        raise RuntimeError("a file that is no Parquet")

    rig = run(Rig(tmp_path, Log(logged(view("a", 0), 0)), fails))
    assert tried.wait(10)
    rig.log.messages.append(logged(view("b", 1), 1))
    wait_until(lambda: rig.log.committed == 2)
    assert rig.archived() == ["a", "b"]
    assert value(rig.metrics.archive_restarts) == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", megabytes=1) as directory:
        yield directory


def test_a_disk_that_is_really_full_loses_nothing_and_leaves_no_half_file(
    disk: Path, run: Callable[[Rig], Rig]
) -> None:
    filler = disk / "filler"
    fill(filler)
    rig = run(Rig(disk / "archive", Log(*(logged(view(f"i{n}", n), n) for n in range(300)))))
    wait_until(lambda: bool(rig.agent.waiting()))
    assert "No space left" in rig.agent.waiting()["archive"]
    assert rig.log.committed == 0
    filler.unlink()
    wait_until(lambda: rig.log.committed == 300)
    assert rig.archived() == [f"i{n}" for n in range(300)]
    assert list(disk.rglob("*.partial")) == []
    rig.agent.stop()
