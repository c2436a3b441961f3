from datetime import UTC
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from contracts.deadletters import LETTER_BYTES, DeadLetter
from contracts.errors import LogUnavailable
from contracts.ports import LoggedMessage
from contracts.topics import DEAD_LETTERS, EVENTS, ITEM_VECTORS
from contracts.wire import decode, encode
from eventlog.memory import MemoryLog
from feature_repo.archive import ArchiveReader, ArchiveWriter
from streams.agents.archive import ARCHIVED, ArchiveAgent
from streams.archived_messages import dead_lettered
from streams.metrics import StreamMetrics
from tests.streams.doubles import NOW
from tests.streams.shop import logged, view


class Reader:
    """A group reader that keeps what was committed."""

    def __init__(self) -> None:
        self.commits = 0
        self.available = True

    def poll(self, timeout_s: float) -> list[LoggedMessage]:
        return []

    def commit(self) -> None:
        if not self.available:
            raise LogUnavailable("found the log switched off; expected it available")
        self.commits += 1

    def lag(self) -> dict[str, int]:
        return {EVENTS.name: 0}

    def close(self) -> None:
        pass


def archive(directory: Path) -> ArchiveAgent:
    return ArchiveAgent(
        open_reader=Reader,
        writers={dataset: ArchiveWriter(directory, dataset) for _, dataset in ARCHIVED.values()},
        metrics=StreamMetrics(CollectorRegistry()),
        flush_every_s=1.0,
        clock=lambda: NOW,
    )


def archived(directory: Path) -> list[str]:
    return [str(item) for item in ArchiveReader(directory).read("events")["item_id"].to_pylist()]


def test_offsets_are_committed_after_the_rows_are_on_disk(tmp_path: Path) -> None:
    agent, reader = archive(tmp_path), Reader()
    agent.take([logged(view("a", 0), 0)])
    assert (archived(tmp_path), reader.commits) == ([], 0)
    agent.flush(reader)
    assert (archived(tmp_path), reader.commits) == (["a"], 1)


def test_messages_read_again_after_a_crash_before_the_commit_are_one_row(tmp_path: Path) -> None:
    reader = Reader()
    reader.available = False
    first = archive(tmp_path)
    first.take([logged(view("a", 0), 0)])
    with pytest.raises(LogUnavailable):
        first.flush(reader)
    second = archive(tmp_path)
    second.take([logged(view("a", 0), 0), logged(view("b", 1), 1)])
    second.flush(Reader())
    assert archived(tmp_path) == ["a", "b"]


def test_a_refused_message_becomes_a_dead_letter_and_a_huge_one_leaves_its_place() -> None:
    log = MemoryLog()
    refuse = dead_lettered(log, lambda: NOW)
    huge = LoggedMessage(EVENTS.name, 1, 8, b"ann", b"x" * (LETTER_BYTES + 1))
    refuse(LoggedMessage(EVENTS.name, 1, 7, b"ann", b"{}"), OverflowError("too large"))
    refuse(huge, OverflowError("too large"))
    letters = [decode(DeadLetter, message.value) for message in log.messages(DEAD_LETTERS)]
    assert [(letter.offset, letter.raw_value()) for letter in letters] == [(7, b"{}"), (8, None)]
    log.available = False
    with pytest.raises(LogUnavailable):
        refuse(huge, OverflowError("too large"))


def test_what_cannot_be_read_and_tombstones_are_passed_over(tmp_path: Path) -> None:
    agent = archive(tmp_path)
    agent.take(
        [
            LoggedMessage(EVENTS.name, 0, 0, b"ann", b"no json"),
            LoggedMessage(EVENTS.name, 0, 0, b"another user", encode(view("c", 1))),
            LoggedMessage(ITEM_VECTORS.name, 0, 0, b"a", None),
            logged(view("b", 1), 1),
        ]
    )
    agent.flush(Reader())
    assert archived(tmp_path) == ["b"]
    assert ArchiveReader(tmp_path).read("events")["at"].to_pylist()[0].astimezone(UTC) == view("b", 1).at
