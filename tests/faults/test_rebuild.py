"""The streams' states made anew from the log, and dead letters put back, on a real Apache Kafka with a real worker."""

from contextlib import closing
from pathlib import Path

import pytest

from contracts.catalogue import Item
from contracts.clock import utc_now
from contracts.deadletters import LETTER_BYTES, refused
from contracts.errors import StackError
from contracts.events import Click, ItemUpserted
from contracts.ids import EventId, ItemId, UserId
from contracts.settings import Settings
from contracts.topics import DEAD_LETTERS, EVENTS, FEEDBACK, ITEMS, TOPICS
from contracts.wire import encode
from eventlog.lag import message_counts
from eventlog.producer import KafkaLog
from millstream.dead_letters import read, replay
from streams.rebuild import plan, rebuild
from tests.faults.fleet import under_load
from tests.faults.verdict import judge

pytestmark = [pytest.mark.real_kafka, pytest.mark.timeout(300)]


def test_a_rebuild_folds_the_log_to_the_same_states_and_tells_no_example_again(tmp_path: Path) -> None:
    with under_load(tmp_path, 100, seed=11) as (fleet, load):
        bootstrap = fleet.cluster.bootstrap
        fleet.start(1)
        load.start()
        fleet.wait_until_folding(1)
        with pytest.raises(StackError, match="millstream down"):
            plan(fleet.settings(1))
        load.stop()
        fleet.wait_until_caught_up()
        assert fleet.end(1) == 0
        told = message_counts(bootstrap, TOPICS)[FEEDBACK.name]
        settings = fleet.settings(1)
        planned = plan(settings)
        assert planned.events == load.sent
        rebuild(settings, planned)
        assert plan(settings).muted_until == planned.muted_until  # broken off here, it could be run again
        rebuild(settings, plan(settings))
        fleet.start(1)
        fleet.wait_until_folding(1)
        fleet.wait_until_caught_up()
        assert judge(fleet, load, exact_items=False).differences() == {}
        assert message_counts(bootstrap, TOPICS)[FEEDBACK.name] == told


def test_an_item_s_letter_is_put_back_only_while_nothing_newer_is_known_of_the_item(real_kafka: str) -> None:
    settings = Settings(kafka_bootstrap=real_kafka)

    def upserted(name: str, title: str) -> bytes:
        return encode(ItemUpserted(item=Item(item_id=ItemId(name), title=title)))

    def letter(name: str) -> bytes:
        value = upserted(name, "of the letter")
        return encode(refused(ITEMS.name, 0, 0, name.encode(), value, RuntimeError("a bug"), utc_now()))

    with closing(KafkaLog(real_kafka, "test", 5)) as log:
        for title in ("first", "newer"):
            log.publish(ITEMS, "changed-since", upserted("changed-since", title)).result(10)
        for name in ("changed-since", "unknown-since"):
            log.publish(DEAD_LETTERS, ITEMS.name, letter(name)).result(10)
    done = replay(
        settings, lambda each: each.topic == ITEMS.name and each.raw_key() in (b"changed-since", b"unknown-since")
    )
    assert (done.put_back, done.overtaken) == (1, 1)


def test_a_dead_letter_that_is_put_back_counts_once_however_often_it_is_replayed(tmp_path: Path) -> None:
    with under_load(tmp_path, 0) as (fleet, _), closing(KafkaLog(fleet.cluster.bootstrap, "test", 5)) as log:
        settings = fleet.settings(1)
        event = Click(event_id=EventId("judged"), user_id=UserId("ann"), item_id=ItemId("a"), at=utc_now())
        letter = refused(EVENTS.name, 0, 7, b"ann", encode(event), RuntimeError("disk I/O error"), utc_now())
        bad = refused(EVENTS.name, 0, 8, b"\xff", b"no json", RuntimeError("a bug"), utc_now())
        huge = refused(EVENTS.name, 0, 9, b"ann", bytes(LETTER_BYTES + 1), RuntimeError("a bug"), utc_now())
        for each in (letter, letter, bad, huge):
            log.publish(DEAD_LETTERS, EVENTS.name, encode(each)).result(10)
        first = replay(settings, lambda each: each.reason == "unexpected")
        assert (first.put_back, first.unusable) == (2, 2)
        second = replay(settings, lambda each: each.reason == "unexpected")
        assert (second.put_back, second.before) == (0, 2)
        assert len(read(settings)) == 4
        fleet.start(1)
        fleet.wait_until_folding(1)
        fleet.wait_until_caught_up()
        assert fleet.workers[1].folded() == 1
