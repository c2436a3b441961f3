"""A learner's process that kills itself with SIGKILL right after a named step of a publication; see `STEPS`.

`python -m tests.builders.killed_learner STEP BOOTSTRAP STATE_DIR GROUP`; the step "none" ends by itself once everything
is committed, with status 0. The vector index is in memory, so it is lost with the process, as a killed Milvus would be.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from prometheus_client import CollectorRegistry

from contracts.clock import utc_now
from contracts.settings import Settings
from contracts.topics import FEEDBACK, ITEM_VECTORS, ITEMS, MODEL_VERSIONS
from eventlog.group import GroupReader
from eventlog.producer import KafkaLog
from eventlog.tail import KafkaTail
from feature_repo import model_store
from feature_repo.memory import MemoryVectorIndex
from feature_repo.model_store import ModelStore
from training import publish
from training.incremental.flow import LearnerFlow, Sources
from training.incremental.learner import Learner
from training.incremental.metrics import LearnerMetrics
from training.model import checkpoint
from training.publish import Shelves

STEPS = ("learned", "saved", "manifest", "written", "indexed", "announced", "noted", "committed")
WITHIN_S = 60.0


def die_after(step: Callable[..., Any], when: Callable[..., bool] = lambda *given: True) -> Callable[..., Any]:
    """The step, and then SIGKILL."""

    def last(*given: Any, **named: Any) -> Any:
        answer = step(*given, **named)
        if when(*given):
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    return last


def arm(step: str) -> None:
    """Makes a step of this process its last one."""
    if step == "learned":
        Learner.observe = die_after(Learner.observe)  # type: ignore[method-assign]
    if step == "saved":
        checkpoint.save = die_after(checkpoint.save)
    if step == "manifest":
        model_store.sync = die_after(model_store.sync, lambda path: path.name == model_store.MANIFEST)
    if step == "written":
        ModelStore.write = die_after(ModelStore.write)  # type: ignore[method-assign]
    if step == "indexed":
        publish.index = die_after(publish.index)
    if step == "announced":
        ModelStore.mark_announced = die_after(lambda self, version: None)  # type: ignore[method-assign]
    if step == "noted":
        GroupReader.commit = die_after(lambda self: None)  # type: ignore[method-assign]
    if step == "committed":
        GroupReader.commit = die_after(GroupReader.commit)  # type: ignore[method-assign]


def main() -> None:
    """Runs turns until the step, or until nothing is left to do."""
    step, bootstrap, state_dir, group = sys.argv[1:]
    torch.set_num_threads(1)
    store = ModelStore(Path(state_dir) / "models")
    feedback = GroupReader(bootstrap, group, [FEEDBACK], session_timeout_s=2.0)
    catalogue = KafkaTail(bootstrap, [ITEMS, ITEM_VECTORS, MODEL_VERSIONS])
    flow = LearnerFlow(
        Settings(state_dir=Path(state_dir), learner_publish_every_s=0.2, learner_batch=64),
        Sources(feedback, catalogue),
        Shelves(store, MemoryVectorIndex(), KafkaLog(bootstrap, "killed-learner")),
        LearnerMetrics(CollectorRegistry()),
        utc_now,
    )
    polled, poll = 0, feedback.poll

    def counted(timeout_s: float) -> list[Any]:
        nonlocal polled
        messages = poll(timeout_s)
        polled += len(messages)
        return messages

    feedback.poll = counted  # type: ignore[method-assign]
    while flow.line is None:
        flow.turn()
    arm(step)
    deadline, quiet = time.monotonic() + WITHIN_S, 0
    while time.monotonic() < deadline and quiet < 20:
        before = polled
        flow.turn()
        done = polled == before and feedback._consumer is not None and bool(feedback._consumer.assignment())
        quiet = quiet + 1 if done and not flow._uncommitted else 0
    sys.exit(0 if quiet else 1)


if __name__ == "__main__":
    main()
