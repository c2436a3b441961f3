import errno
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from contracts.deadletters import DeadLetter
from contracts.events import EventKind, ItemDeleted
from contracts.ids import EventId, ItemId, ModelVersion
from contracts.topics import (
    DEAD_LETTERS,
    FEEDBACK,
    HEARTBEATS,
    ITEMS,
    TRACES,
)
from contracts.traces import Stage, TraceStamp
from contracts.vector_collections import model_items
from contracts.versions import PublishedVersion
from contracts.wire import decode, encode
from tests.builders import shop
from tests.builders.learner_loop import Loop
from training.incremental.retention import retire
from training.model.serving import ServingModel

ITEMS_OF_LINE = model_items(ModelVersion("v-000"))


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    made = Loop(tmp_path)
    for content in shop.contents():
        made.put(content)
    made.publish_batch("v-000")
    return made


def test_feedback_becomes_a_served_version_that_names_its_parent_and_events(loop: Loop) -> None:
    items = [f"i{2 + number % 10}" for number in range(20)]
    loop.feed(*(shop.example(number, items[number], ("i1",), traced=number == 1) for number in range(1, 20)))
    loop.run()
    first = loop.versions()[1]
    assert (first.parent, first.origin, first.examples) == ("v-000", "incremental", 100 + 19)
    assert first.learned_event_ids == ("evt1",)
    assert first.data_to == shop.example(19).at
    base, learned = (ServingModel.load(loop.store.path(version)) for version in (ModelVersion("v-000"), first.version))
    assert not np.allclose(base.item_vectors()[ItemId("i5")], learned.item_vectors()[ItemId("i5")], atol=1e-6)
    assert loop.feedback.commits == 1


def test_a_traced_event_is_stamped_when_learned_and_when_published(loop: Loop) -> None:
    loop.feed(shop.example(1, "i5", ("i1",), traced=True))
    loop.run()
    stamps = [decode(TraceStamp, message.value) for message in loop.log.messages(TRACES)]
    assert [stamp.stage for stamp in stamps] == [Stage.LEARNED, Stage.PUBLISHED]
    assert stamps[1].model_version == loop.versions()[1].version


def test_nothing_new_publishes_nothing(loop: Loop) -> None:
    loop.run(turns=5)
    assert len(loop.versions()) == 1


def test_publications_are_no_closer_than_the_interval(loop: Loop) -> None:
    for number in range(1, 7):
        loop.feed(shop.example(number, "i5"))
        loop.run(turns=1, seconds=1.0)
    # Turns at 0, 1, ..., 5 s and an interval of 3 s: published at 0 and 3.
    assert len(loop.versions()) == 1 + 2


def test_the_first_example_after_a_pause_is_published_at_once(loop: Loop) -> None:
    loop.run(turns=4, seconds=1.0)
    loop.feed(shop.example(1, "i5"))
    loop.run(turns=1, seconds=1.0)
    assert len(loop.versions()) == 1 + 1


def test_examples_that_the_batch_has_learned_are_only_remembered(loop: Loop) -> None:
    loop.feed(*(shop.example(-number, "i5") for number in range(1, 20)))
    loop.run()
    assert len(loop.versions()) == 1
    assert loop.flow.line is not None
    assert len(loop.flow.line.learner.reservoir) == 48 * 3 // 4 + 19  # beside what the batch version left
    assert loop.feedback.commits == 1


def test_before_a_first_model_the_learner_waits_and_beats(tmp_path: Path) -> None:
    waiting = Loop(tmp_path)
    waiting.feed(shop.example(1))
    waiting.run()
    assert waiting.flow.line is None
    assert len(waiting.log.messages(HEARTBEATS)) == 3
    for content in shop.contents():
        waiting.put(content)
    waiting.publish_batch("v-000")
    waiting.run()
    assert len(waiting.versions()) == 2


def test_a_bad_message_is_dead_lettered_and_the_next_one_is_learned(loop: Loop) -> None:
    loop.log.publish(FEEDBACK, "u1", b"no json")
    loop.log.publish(FEEDBACK, "u1", b'{"schema_version": 1}')
    loop.feed(shop.example(1, "i5"))
    loop.run()
    letters = [decode(DeadLetter, message.value) for message in loop.log.messages(DEAD_LETTERS)]
    assert sorted(letter.reason for letter in letters) == ["invalid", "undecodable"]
    assert len(loop.versions()) == 2


def test_weights_that_are_not_finite_are_not_published_and_learning_goes_on(loop: Loop) -> None:
    loop.run(turns=1)
    line = loop.flow.line
    assert line is not None
    loop.feed(shop.example(1, "i5"))
    with torch.no_grad():
        line.learner.model.log_scale.fill_(float("nan"))
    loop.run()
    assert len(loop.versions()) == 1
    assert line.learner.finite()
    loop.feed(shop.example(2, "i5"))
    loop.run()
    assert len(loop.versions()) == 2


def test_with_the_vector_index_away_nothing_is_lost_and_it_recovers(loop: Loop) -> None:
    loop.run(turns=1)
    loop.index.available = False
    loop.feed(shop.example(1, "i5", traced=True))
    loop.run()
    assert len(loop.versions()) == 1
    assert loop.feedback.commits == 0
    loop.index.available = True
    loop.run()
    assert loop.versions()[-1].learned_event_ids == ("evt1",)
    assert loop.feedback.commits == 1


def test_a_new_item_is_in_the_index_at_once_and_a_deleted_one_is_not(loop: Loop) -> None:
    loop.run(turns=1)
    loop.put(shop.contents(13)[12])
    deleted = ItemDeleted(event_id=EventId("del"), at=loop.now, item_id=ItemId("i3"))
    loop.log.publish(ITEMS, "i3", encode(deleted))
    loop.run(turns=1)
    found = {hit.item_id for hit in loop.index.search(ITEMS_OF_LINE, np.ones(16, dtype=np.float32), 50)}
    assert "i12" in found
    assert "i3" not in found
    loop.feed(shop.example(1, "i5"))
    loop.run()
    found = {hit.item_id for hit in loop.index.search(ITEMS_OF_LINE, np.ones(16, dtype=np.float32), 50)}
    assert "i3" not in found


def test_what_the_index_missed_while_it_was_away_it_gets_afterwards(loop: Loop) -> None:
    loop.run(turns=1)
    loop.index.available = False
    loop.put(shop.contents(13)[12])
    loop.log.publish(ITEMS, "i3", None)
    loop.run(turns=2)
    assert loop.flow.line is not None
    assert ItemId("i12") in loop.flow.line.learner.table.vocabulary
    loop.index.available = True
    loop.run(turns=1)
    found = {hit.item_id for hit in loop.index.search(ITEMS_OF_LINE, np.ones(16, dtype=np.float32), 50)}
    assert "i12" in found
    assert "i3" not in found


def test_an_item_deleted_while_a_batch_trained_is_not_in_the_index_for_long(loop: Loop) -> None:
    loop.run(turns=1)
    loop.log.publish(ITEMS, "i3", None)
    loop.run(turns=1)
    loop.publish_batch("v-fff-batch")
    assert "i3" in {
        hit.item_id
        for hit in loop.index.search(model_items(ModelVersion("v-fff-batch")), np.ones(16, dtype=np.float32), 50)
    }
    loop.run(turns=1)
    assert "i3" not in {
        hit.item_id
        for hit in loop.index.search(model_items(ModelVersion("v-fff-batch")), np.ones(16, dtype=np.float32), 50)
    }


def test_items_whose_vectors_cannot_be_used_are_not_taken_for_gone(loop: Loop) -> None:
    for content in shop.contents():
        loop.put(replace(content, text=np.ones(shop.TEXT_WIDTH + 1, dtype=np.float32)))
    loop.run(turns=1)
    assert loop.flow.line is not None
    learner = loop.flow.line.learner
    assert learner.table.ids.retired() == []
    assert len(learner.table.vocabulary) == len(shop.contents())


def test_a_new_batch_version_replaces_the_base_and_newer_examples_are_learned_again(loop: Loop) -> None:
    loop.feed(*(shop.example(number, f"i{number}") for number in range(1, 9)))
    loop.run()
    loop.publish_batch("v-fff-batch", data_to=shop.example(4).at)
    loop.run()
    last = loop.versions()[-1] if loop.versions()[-1].origin == "incremental" else loop.versions()[-2]
    assert loop.flow.line is not None
    assert last.parent == "v-fff-batch"
    assert last.examples == 100 + (8 - 4)


def test_a_batch_version_is_adopted_though_the_learner_published_while_it_was_written(loop: Loop) -> None:
    loop.feed(*(shop.example(number, "i5") for number in range(1, 9)))
    loop.run()
    assert loop.versions()[-1].version > "v-000-batch"
    loop.publish_batch("v-000-batch", data_to=shop.example(4).at)
    loop.run()
    assert loop.flow.line is not None
    assert loop.flow.line.root == "v-000-batch"
    newest = loop.versions()[-1]
    assert (newest.root, newest.covered_to, newest.origin) == ("v-000-batch", None, "incremental")
    served = ServingModel.load(loop.store.path(newest.version)).item_vectors()[ItemId("i5")]
    assert loop.index.search(model_items(ModelVersion("v-000-batch")), served, 1)[0].item_id == "i5"


def test_a_restarted_learner_goes_on_from_its_own_version_and_learns_what_was_not_read(loop: Loop) -> None:
    loop.feed(shop.example(20, "i5"))
    loop.run()
    loop.restart()
    again = loop.flow
    loop.feed(shop.example(7, "i5"))  # of another partition: older than what the version has learned, but never read
    loop.run()
    assert again.line is not None
    assert again.line.root == "v-000"
    assert [version.examples for version in loop.versions()] == [100, 101, 102]


def test_clicks_after_a_quiet_time_are_published(loop: Loop) -> None:
    for number in range(1, 9):
        loop.feed(shop.example(number, "i5", outcome=None))
        loop.run(turns=1)
    quiet = len(loop.versions())
    loop.feed(*(shop.example(number, "i5", ("i1",)) for number in range(10, 14)))
    loop.run(turns=1)
    assert len(loop.versions()) == quiet + 1
    assert "progressive_loss" not in loop.versions()[quiet - 1].metrics


def test_an_example_that_is_delivered_again_is_not_learned_again(loop: Loop) -> None:
    loop.feed(*[shop.example(1, "i5")] * 4)
    loop.run()
    assert loop.versions()[-1].examples == 100 + 1


def test_a_full_disk_is_waited_out(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(version: PublishedVersion, save: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    loop.run(turns=1)
    loop.feed(shop.example(1, "i5", traced=True))
    with monkeypatch.context() as patched:
        patched.setattr(loop.store, "write", full)
        loop.run()
    assert len(loop.versions()) == 1
    assert loop.feedback.commits == 0
    loop.run()
    assert loop.versions()[-1].learned_event_ids == ("evt1",)


def test_old_versions_go_and_the_newest_batch_version_stays(loop: Loop) -> None:
    for number in range(1, 10):
        loop.feed(shop.example(number, "i5", outcome=EventKind.VIEW))
        loop.run(turns=1)
    versions = loop.store.versions()
    assert len(versions) == 5 + 1
    assert "v-000" in versions
    assert versions == ["v-000", *(version.version for version in loop.versions()[-5:])]
    assert retire(loop.store, keep=1) == versions[1:-1]
    assert loop.store.versions() == ["v-000", versions[-1]]
