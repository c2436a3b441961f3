"""The learner killed with SIGKILL after each step of a publication, over a real broker and real directories."""

import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.topics import MODEL_VERSIONS
from contracts.versions import PublishedVersion
from contracts.wire import decode
from eventlog.producer import KafkaLog
from eventlog.tail import read_whole
from feature_repo.partials import PARTIAL
from tests.builders import servers, shop
from tests.builders.killed_learner import STEPS
from tests.builders.learner_loop import Loop
from training.model.serving import ServingModel

EXAMPLES = 24


def learner(step: str, bootstrap: str, directory: Path, group: str) -> int:
    """Status of a learner's process that dies after a step."""
    command = [sys.executable, "-m", "tests.builders.killed_learner", step, bootstrap, str(directory), group]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with (directory / "learner.log").open("ab") as errors:
        ended = subprocess.run(
            command, env=environment, stderr=errors, timeout=120, check=False, cwd=servers.REPOSITORY
        )
    return ended.returncode


@pytest.mark.parametrize("step", STEPS)
def test_a_learner_killed_after_any_step_loses_nothing_and_learns_nothing_twice(tmp_path: Path, step: str) -> None:
    with servers.running(servers.tansu()) as broker:
        servers.with_topics(broker.address, embedded=True)
        made = Loop(tmp_path)
        made.log = KafkaLog(broker.address, "test")  # type: ignore[assignment]
        made.shelves = type(made.shelves)(made.store, made.index, made.log)
        for content in shop.contents():
            made.put(content)
        made.publish_batch("v-000", feedback_to={})
        made.feed(*(shop.example(number, f"i{number % 12}") for number in range(EXAMPLES)))
        made.log.flush(20)
        group = secrets.token_hex(4)

        assert learner(step, broker.address, tmp_path, group) == -signal.SIGKILL
        assert learner("none", broker.address, tmp_path, group) == 0

        announced = read_whole(broker.address, MODEL_VERSIONS, 20)
        versions = [decode(PublishedVersion, message.value) for message in announced]
        made.log.close()
    newest = versions[-1]
    assert newest.examples == 100 + EXAMPLES
    assert newest.feedback_to is not None
    assert sum(newest.feedback_to.values()) == EXAMPLES
    assert made.store.latest() == newest
    assert ServingModel.load(made.store.path(newest.version)).version == newest
    assert not list(made.store.path(newest.version).parent.glob(f"{PARTIAL}*"))
