"""The archive agent over a real broker, killed at every step of its protocol: what was acknowledged is read once."""

import secrets
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from contracts.clock import utc_now
from contracts.events import Click, EventKind
from contracts.examples import TrainingExample
from contracts.ids import EventId, ExampleId, ItemId, UserId
from contracts.topics import EVENTS, FEEDBACK
from contracts.wire import encode
from eventlog.lag import group_lag
from eventlog.producer import KafkaLog
from feature_repo.archive import ArchiveReader
from streams.agents.archive import ARCHIVED

DEATHS = {
    "messages are read": (1, 1),
    "their rows are buffered": (2, 1),
    "one dataset is flushed": (3, 1),
    "all datasets are flushed": (3, len(ARCHIVED)),
    "the offsets are committed": (4, 1),
}
"""After what the process dies, as step and how many times that step was done."""

SESSION_S = 6.0
"""The shortest that Apache Kafka allows: a member that was killed is waited for so long."""

MESSAGES = 150
USERS = 12


@pytest.fixture(params=["tansu", pytest.param("real_kafka", marks=pytest.mark.real_kafka)])
def bootstrap(request: pytest.FixtureRequest) -> str:
    address: str = request.getfixturevalue(request.param)
    return address


class Shop:
    """Sends clicks and their examples, with ids of this test's own."""

    def __init__(self, bootstrap: str) -> None:
        self.run = f"archive-{secrets.token_hex(4)}"
        self.log = KafkaLog(bootstrap, self.run)
        self.sent: list[str] = []

    def send(self, count: int) -> None:
        start = utc_now() - timedelta(hours=1)
        for number in range(len(self.sent), len(self.sent) + count):
            event_id, user = f"{self.run}-{number}", UserId(f"{self.run}-u{number % USERS}")
            item, at = ItemId(f"i{number % 7}"), start + timedelta(seconds=number)
            self.log.publish(EVENTS, user, encode(Click(event_id=EventId(event_id), user_id=user, item_id=item, at=at)))
            example = TrainingExample(
                example_id=ExampleId(event_id), user_id=user, item_id=item, at=at, outcome=EventKind.CLICK,
                event_id=EventId(event_id),
            )  # fmt: skip
            self.log.publish(FEEDBACK, user, encode(example))
            self.sent.append(event_id)
        self.log.flush(20)

    def archived(self, directory: Path, dataset: str, identity: str) -> list[str]:
        ids = ArchiveReader(directory).read(dataset, [identity])[identity].to_pylist()
        return sorted(one for one in ids if one.startswith(f"{self.run}-"))


def started(bootstrap: str, group: str, directory: Path, *death: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "tests.streams.archive_process", bootstrap, group, str(SESSION_S), str(directory)]
    return subprocess.Popen([*command, *map(str, death)])


@pytest.mark.timeout(280)
def test_killed_at_every_step_the_archive_holds_every_acknowledged_message_once(bootstrap: str, tmp_path: Path) -> None:
    shop = Shop(bootstrap)
    try:
        for after, death in DEATHS.items():
            shop.send(MESSAGES)
            dying = started(bootstrap, shop.run, tmp_path, *death)
            assert dying.wait(60) == -signal.SIGKILL, f"expected it to die after {after}"
        shop.send(MESSAGES)
        running = started(bootstrap, shop.run, tmp_path)
        try:
            deadline = time.monotonic() + 60
            while sum(group_lag(bootstrap, shop.run, (EVENTS, FEEDBACK)).values()):
                assert time.monotonic() < deadline, "expected a lag of 0"
                time.sleep(0.3)
            running.terminate()
            assert running.wait(30) == 0
        finally:
            running.kill()
            running.wait()
    finally:
        shop.log.close()
    expected = sorted(shop.sent)
    assert len(expected) == MESSAGES * (len(DEATHS) + 1)
    assert shop.archived(tmp_path, "events", "event_id") == expected
    assert shop.archived(tmp_path, "feedback", "example_id") == expected
