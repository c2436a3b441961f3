"""Which versions the learner keeps, goes on from and passes over: by the log, never by names, clocks or orphans."""

import errno
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path

import pytest

from contracts.errors import LogUnavailable
from contracts.ids import ModelVersion, time_ordered_id
from contracts.topics import MODEL_VERSIONS, Topic
from contracts.versions import PublishedVersion
from tests.builders import shop
from tests.builders.files import fill, long_ago, small_disk
from tests.builders.learner_loop import Loop
from training.incremental.retention import KEPT_UNACKNOWLEDGED
from training.model.checkpoint import DESCRIPTION
from training.model.serving import ServingModel


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    made = Loop(tmp_path)
    for content in shop.contents():
        made.put(content)
    made.publish_batch("v-000")
    return made


def click(loop: Loop, number: int) -> None:
    """Three clicks and a turn."""
    loop.feed(*(shop.example(3 * number + each, "i5", ("i1",)) for each in range(3)))
    loop.run(turns=1)


def full(version: PublishedVersion, save: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_the_served_version_outlives_an_index_that_is_away_and_then_a_full_disk(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        click(loop, number)
    served = loop.versions()[-1].version
    loop.index.available = False
    for number in range(3, 11):
        click(loop, number)
    with monkeypatch.context() as patched:
        patched.setattr(loop.store, "write", full)
        click(loop, 11)
    assert loop.store.versions() == ["v-000", *(version.version for version in loop.versions()[-2:])]
    assert loop.store.latest() == loop.versions()[-1]
    loop.index.available = True
    loop.restart()
    click(loop, 12)
    click(loop, 13)
    assert loop.versions()[3].version == served
    assert loop.versions()[4].parent == served
    assert loop.flow.line is not None
    assert loop.flow.line.root == "v-000"


def test_versions_that_were_never_announced_are_not_kept_instead_of_those_that_were(loop: Loop) -> None:
    click(loop, 0)
    announced = [version.version for version in loop.versions()]
    for number in range(9):
        orphan = loop.versions()[-1].model_copy(update={"version": ModelVersion(f"v-zz{number}")})
        loop.store.write(orphan, lambda path: None)
        long_ago(loop.store.path(orphan.version), seconds=3600 + 60)
    click(loop, 1)
    assert loop.store.versions() == [*announced, loop.versions()[-1].version]


def test_a_batch_version_whose_publication_is_under_way_is_left_alone(loop: Loop) -> None:
    click(loop, 0)
    written = loop.versions()[0].model_copy(update={"version": ModelVersion("v-zzz-batch")})
    loop.store.write(written, lambda path: None)
    long_ago(loop.store.path(written.version), seconds=3600 + 60)
    for number in range(1, 8):
        click(loop, number)
    assert written.version in loop.store.versions()
    long_ago(loop.store.path(written.version), seconds=86400 + 60)
    click(loop, 8)
    assert written.version not in loop.store.versions()


def test_a_learner_whose_announced_version_is_gone_goes_on_from_the_newest_that_loads(loop: Loop) -> None:
    for number in range(3):
        click(loop, number)
    first, broken, gone = (version.version for version in loop.versions()[1:])
    loop.store.remove(gone)
    (loop.store.path(broken) / DESCRIPTION).unlink()
    loop.restart()
    for number in range(3, 8):
        click(loop, number)
    assert loop.versions()[4].parent == first
    assert loop.flow._metrics.failures.labels("no_model")._value.get() == 3


def test_a_version_that_reaches_this_machine_after_its_announcement_is_gone_on_from(loop: Loop) -> None:
    click(loop, 0)
    newest = loop.versions()[-1].version
    hidden = loop.store.path(newest).rename(loop.store.path(newest).with_name(".hidden"))
    loop.restart()
    loop.run(turns=1)
    assert loop.flow.line is None
    hidden.rename(hidden.with_name(newest))
    loop.run(turns=1)
    assert loop.flow.line is not None
    assert loop.flow.line.version.version == newest


@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_training_machines_clock_changes_neither_what_is_learned_from_nor_what_is_kept(
    loop: Loop, minutes: int
) -> None:
    click(loop, 0)
    batch = time_ordered_id("v", loop.now + timedelta(minutes=minutes))
    loop.publish_batch(batch)
    for number in range(1, 12):
        click(loop, number)
    newest = loop.versions()[-1]
    assert (newest.origin, newest.root) == ("incremental", batch)
    assert loop.store.latest() == newest
    loop.restart()
    click(loop, 13)
    click(loop, 14)
    assert loop.versions()[-1].root == batch
    assert batch in loop.store.versions()


def test_announcements_that_are_not_acknowledged_leave_few_directories_and_none_in_the_end(loop: Loop) -> None:
    click(loop, 0)
    served = loop.versions()[-1].version
    publish = loop.log.publish

    def deaf(topic: Topic, key: str, value: bytes | None) -> "Future[None]":
        if topic is not MODEL_VERSIONS:
            return publish(topic, key, value)
        refused: Future[None] = Future()
        refused.set_exception(LogUnavailable("found no broker; expected one"))
        return refused

    loop.log.publish = deaf
    assert loop.flow.line is not None
    judged = loop.flow.line.gates.state()
    for number in range(1, 8):
        click(loop, number)
    assert len(set(loop.store.versions()) - {"v-000", served}) == KEPT_UNACKNOWLEDGED
    assert loop.flow.line.gates.state() == judged
    loop.log.publish = publish
    click(loop, 8)
    assert loop.versions()[-1].parent == served
    assert set(loop.store.versions()) == {"v-000", served, loop.versions()[-1].version}


def test_an_announcement_that_the_store_did_not_note_is_noted_from_the_log(loop: Loop) -> None:
    click(loop, 0)
    newest = loop.versions()[-1].version
    (loop.store.path(newest) / "announced").unlink()
    loop.restart()
    loop.run(turns=1)
    assert loop.store.announced() == ["v-000", newest]


def test_a_disk_that_is_really_full_is_waited_out_and_the_served_version_stays_whole(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=4) as disk:
        loop = Loop(disk)
        for content in shop.contents():
            loop.put(content)
        loop.publish_batch("v-000")
        click(loop, 0)
        served = loop.versions()[-1]
        filler = disk / "filler"
        fill(filler)
        for number in range(1, 5):
            click(loop, number)
        assert loop.versions()[-1] == served == loop.store.latest()
        assert ServingModel.load(loop.store.path(served.version)).version == served
        assert loop.flow._metrics.failures.labels("checkpoint_not_saved")._value.get() >= 3
        filler.unlink()
        click(loop, 5)
        assert loop.versions()[-1].parent == served.version
        assert not list(loop.store.path(served.version).parent.glob(".partial-*"))
