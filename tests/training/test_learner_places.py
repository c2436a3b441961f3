"""What a learner learns once: the log's places decide what a version holds, not times, and not whether it is traced."""

from pathlib import Path

import pytest
import torch

from contracts.examples import TrainingExample
from contracts.ids import EventId
from contracts.topics import TRACES
from contracts.traces import Stage, TraceStamp
from contracts.versions import MOST_NAMED_EVENTS
from contracts.wire import decode, encode
from tests.builders import shop
from tests.builders.learner_loop import Loop


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    torch.set_num_threads(1)
    made = Loop(tmp_path)
    for content in shop.contents():
        made.put(content)
    made.publish_batch("v-000")
    return made


def shopping(start: int, traced: bool) -> list[TrainingExample]:
    clicks = [shop.example(start + number, f"i{number}", traced=traced) for number in range(8)]
    return [*clicks, *(shop.example(start + 8 + number, f"i{number}", outcome=None) for number in range(8))]


def learned(loop: Loop) -> float:
    return loop.flow._metrics.examples.labels("learned")._value.get()


@pytest.mark.parametrize("traced", [False, True])
def test_what_a_new_batch_version_has_read_is_not_learned_again(loop: Loop, traced: bool) -> None:
    loop.feed(*shopping(1, traced))
    loop.run()
    assert learned(loop) == 16
    loop.publish_batch("v-001-batch", data_to=shop.example(40).at)
    loop.feed(*shopping(50, traced))
    loop.run()
    assert loop.flow.line is not None
    assert loop.flow.line.root == "v-001-batch"
    assert learned(loop) == 16 + 16
    assert loop.versions()[-1].examples == 100 + 16


def test_what_was_not_archived_when_the_batch_read_is_learned_again_though_it_is_older(loop: Loop) -> None:
    loop.feed(*shopping(20, False))
    loop.publish_batch("v-001-batch", data_to=shop.example(40).at)
    late = shop.example(1, "i5")  # an event that came late: older than all, and the batch training has not read it
    loop.feed(late)
    loop.run()
    assert learned(loop) == 1


def test_a_traced_event_that_the_batch_version_alone_has_learned_is_named_all_the_same(loop: Loop) -> None:
    loop.feed(shop.example(1, "i5", traced=True))
    loop.publish_batch("v-001-batch", data_to=shop.example(1).at)
    loop.feed(shop.example(60, "i6"))
    loop.run()
    assert learned(loop) == 1
    assert loop.versions()[-1].learned_event_ids == ("evt1",)


def test_a_crash_between_announcement_and_commit_learns_nothing_twice(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash() -> None:
        raise KeyboardInterrupt

    loop.run(turns=1)
    loop.feed(*shopping(1, False))
    with monkeypatch.context() as patched:
        patched.setattr(loop.feedback, "commit", crash)
        with pytest.raises(KeyboardInterrupt):
            loop.flow.turn()
    assert loop.versions()[-1].examples == 100 + 16
    loop.restart()
    loop.feed(*shopping(50, False))
    loop.run()
    assert loop.versions()[-1].examples == 100 + 16 + 16
    assert learned(loop) == 16


def test_a_log_that_was_lost_and_filled_again_is_learned_from(loop: Loop) -> None:
    loop.feed(*shopping(1, False))
    loop.run()
    places = loop.versions()[-1].feedback_to
    assert places is not None
    assert sum(places.values()) == 16
    loop.log._partitions = {place: kept for place, kept in loop.log._partitions.items() if place[0] != "feedback"}
    loop.feedback.committed.clear()
    loop.restart()
    loop.feed(*shopping(1, False), *shopping(50, False))  # the first again, from the archive
    loop.run()
    assert learned(loop) == 16


@pytest.mark.parametrize("count", [3000, 100_000])
def test_an_announcement_fits_into_a_message_however_many_events_a_round_has(loop: Loop, count: int) -> None:
    loop.run(turns=1)
    assert loop.flow.line is not None
    names = [EventId(f"{number:0128d}") for number in range(count)]
    loop.flow.line.learner.round.traced += names
    loop.feed(shop.example(1, "i5"))
    loop.run(turns=1)
    newest = loop.versions()[-1]
    assert newest.origin == "incremental"
    assert newest.learned_event_ids == tuple(names[-MOST_NAMED_EVENTS:])
    assert len(encode(newest)) < 200_000
    stamps = [decode(TraceStamp, message.value) for message in loop.log.messages(TRACES)]
    published = {stamp.event_id for stamp in stamps if stamp.stage is Stage.PUBLISHED}
    assert published == set(names)
    assert {stamp.model_version for stamp in stamps if stamp.stage is Stage.PUBLISHED} == {newest.version}
