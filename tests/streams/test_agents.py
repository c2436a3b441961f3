from dataclasses import replace

import pytest

from contracts.catalogue import Item
from contracts.clock import to_ms
from contracts.deadletters import DeadLetter
from contracts.errors import LogUnavailable
from contracts.events import ItemUpserted
from contracts.examples import TrainingExample
from contracts.ids import EventId, ItemId
from contracts.interactions import ItemTouches
from contracts.ports import LoggedMessage
from contracts.topics import DEAD_LETTERS, EVENTS, FEEDBACK, ITEM_FEATURES, ITEM_TOUCHES, ITEMS, TRACES
from contracts.traces import TraceStamp
from contracts.wire import decode, encode
from eventlog.memory import MESSAGE_MAX_BYTES
from streams.agents.users import CLOSED_AT_ONCE, TOUCHES_A_MESSAGE
from tests.streams.doubles import Rig, user_table
from tests.streams.shop import ANN, NOON, RULES, at, click, impression, logged, view

WINDOW = RULES.attribution_window_ms / 60_000


def examples(rig: Rig) -> list[tuple[str, str | None]]:
    found = [decode(TrainingExample, message.value) for message in rig.log.messages(FEEDBACK)]
    return [(example.item_id, example.outcome) for example in found]


async def test_a_batch_writes_a_user_once_and_tells_each_item_once() -> None:
    rig = Rig()
    await rig.user_agent.process(0, [logged(view("a", 0), 0), logged(click("a", 1), 1), logged(view("b", 2), 2)])
    assert rig.users.writes == 1
    touched = [decode(ItemTouches, message.value) for message in rig.log.messages(ITEM_TOUCHES)]
    assert {one.item_id: len(one.touches) for one in touched} == {"a": 2, "b": 1}


async def test_a_click_reaches_the_online_store() -> None:
    rig = Rig()
    await rig.user_agent.process(0, [logged(click("a", 1), 0)])
    assert rig.user_rows.flush() == 1
    found = rig.store.read_user(ANN)
    assert found is not None
    assert (found.recent_items, found.clicks_1h) == (("a",), 1)


async def test_affinities_read_the_catalogues_attributes() -> None:
    rig = Rig()
    item = Item(item_id=ItemId("a"), title="Green tea", category="tea", brand="leaf")
    upserted = encode(ItemUpserted(item=item, at=NOON, event_id=EventId("up")))
    rig.attributes.apply(LoggedMessage(ITEMS.name, 0, 0, b"a", upserted))
    rig.attributes.apply(LoggedMessage(ITEMS.name, 0, 1, b"a", b"no json"))
    await rig.user_agent.process(0, [logged(view("a", 1), 0)])
    rig.user_rows.flush()
    found = rig.store.read_user(ANN)
    assert found is not None
    assert (found.category_names, found.brand_names) == (("tea",), ("leaf",))


async def test_what_cannot_be_used_is_dead_lettered_with_its_reason_and_the_rest_goes_on() -> None:
    rig = Rig()
    future = logged(view("a", 60 * 24 * 3), 2)
    wrong_key = LoggedMessage(EVENTS.name, 0, 3, b"bob", encode(view("a", 0)))
    await rig.user_agent.process(
        0,
        [
            LoggedMessage(EVENTS.name, 0, 0, b"ann", b"\xff not json"),
            LoggedMessage(
                EVENTS.name, 0, 1, b"ann", b'{"kind": "click", "event_id": "e", "at": "2026-03-02T12:00:00Z"}'
            ),
            future,
            wrong_key,
            LoggedMessage(EVENTS.name, 0, 4, b"ann", None),
            logged(view("a", 1), 5),
        ],
    )
    letters = [decode(DeadLetter, message.value) for message in rig.log.messages(DEAD_LETTERS)]
    assert [(letter.offset, letter.reason) for letter in letters] == [
        (0, "undecodable"), (1, "invalid"), (2, "future"), (3, "invalid"), (4, "undecodable"),
    ]  # fmt: skip
    assert letters[0].raw_value() == b"\xff not json"
    assert examples(rig) == [("a", "view")]


async def test_what_is_of_the_future_is_judged_by_the_logs_clock_and_not_by_the_workers() -> None:
    rig = Rig()  # its clock is ten minutes behind the log's
    ahead = replace(logged(view("a", 60 * 24 + 10), 0), logged_ms=to_ms(at(60 * 24 + 10)))
    future = replace(logged(view("b", 30), 1), logged_ms=to_ms(at(10)))
    await rig.user_agent.process(0, [ahead, future])
    letters = [decode(DeadLetter, message.value) for message in rig.log.messages(DEAD_LETTERS)]
    assert [(letter.offset, letter.reason) for letter in letters] == [(1, "future")]
    assert examples(rig) == [("a", "view")]


async def test_a_message_too_large_for_a_dead_letter_leaves_its_place_and_holds_nothing_up() -> None:
    rig = Rig()
    huge = LoggedMessage(EVENTS.name, 0, 0, b"ann", b"x" * (MESSAGE_MAX_BYTES - 10))
    await rig.user_agent.process(0, [huge, logged(view("a", 1), 1)])
    letters = [decode(DeadLetter, message.value) for message in rig.log.messages(DEAD_LETTERS)]
    assert [(letter.offset, letter.raw_key(), letter.raw_value()) for letter in letters] == [(0, b"ann", None)]
    assert examples(rig) == [("a", "view")]


async def test_a_batch_that_failed_before_the_table_was_written_publishes_the_same_again() -> None:
    rig = Rig()
    batch = [logged(impression("r1", 0, "a", "b"), 0), logged(click("b", 1), 1)]
    await rig.users.settle(0)
    rig.users.changelog.available = False
    with pytest.raises(LogUnavailable):
        await rig.user_agent.process(0, batch)
    rig.users.changelog.available = True
    await rig.user_agent.process(0, batch)
    told = [message.value for message in rig.log.messages(FEEDBACK)]
    assert len(told) == 2 * 2
    assert told[:2] == told[2:]


async def test_a_batch_redelivered_after_the_table_was_written_publishes_nothing_and_counts_nothing() -> None:
    rig = Rig()
    batch = [logged(impression("r1", 0, "a", "b"), 0), logged(click("b", 1), 1)]
    await rig.user_agent.process(0, batch)
    rows, told = rig.users.rows(), len(rig.log.messages(FEEDBACK))
    await rig.user_agent.process(0, batch)
    assert rig.users.rows() == rows
    assert rig.users.writes == 1
    assert len(rig.log.messages(FEEDBACK)) == told
    assert rig.outcomes("users", "redelivered") == 2


async def test_nothing_is_written_to_the_table_while_the_log_is_away() -> None:
    rig = Rig()
    rig.log.available = False
    with pytest.raises(LogUnavailable):
        await rig.user_agent.process(0, [logged(view("a", 0), 0)])
    assert rig.users.writes == 0


async def test_traced_events_are_stamped_at_each_stage() -> None:
    rig = Rig()
    await rig.user_agent.process(0, [logged(click("a", 1, traced=True), 0), logged(view("b", 2), 1)])
    rig.user_rows.flush()
    stamps = [decode(TraceStamp, message.value) for message in rig.log.messages(TRACES)]
    assert [(stamp.event_id, stamp.stage) for stamp in stamps] == [
        ("click-a-1", "folded"), ("click-a-1", "example_emitted"), ("click-a-1", "features_written"),
    ]  # fmt: skip


async def test_the_timer_closes_windows_of_quiet_users_once_the_watermark_has_passed() -> None:
    rig = Rig()
    other = view("z", WINDOW + 1).model_copy(update={"user_id": "bob", "event_id": "bob-1"})
    await rig.user_agent.process(0, [logged(impression("r1", 0, "a", "b"), 0), logged(other, 1)])
    await rig.user_agent.tick(0)
    assert examples(rig) == [("z", "view")]  # ann was heard of a moment ago
    rig.wall_s = 11.0
    await rig.user_agent.tick(0)
    await rig.user_agent.tick(0)
    assert examples(rig) == [("z", "view"), ("a", None), ("b", None)]


async def test_windows_are_known_again_after_a_restart_and_closed_by_the_timer() -> None:
    before = Rig()
    other = view("z", WINDOW + 1).model_copy(update={"user_id": "bob", "event_id": "bob-1"})
    await before.user_agent.process(0, [logged(impression("r1", 0, "a"), 0), logged(other, 1)])
    after = Rig(user_table(before.users.changelog))
    await after.user_agent.tick(0)
    assert after.users.open_windows() == 1
    after.wall_s = 11.0
    await after.user_agent.tick(0)
    assert examples(after) == [("a", None)]
    assert after.users.open_windows() == 0


async def test_the_timer_closes_thousands_of_windows_in_one_go() -> None:
    rig = Rig()
    users = [f"user-{number}" for number in range(2 * CLOSED_AT_ONCE + 3)]
    batch = [
        logged(impression(f"r-{user}", 0, "a").model_copy(update={"user_id": user, "event_id": f"i-{user}"}), offset)
        for offset, user in enumerate(users)
    ]
    await rig.user_agent.process(0, [*batch, logged(view("z", WINDOW + 1), len(users))])
    rig.wall_s = 11.0
    calls = 1
    while await rig.user_agent.tick(0):
        calls += 1
    assert calls == 3
    assert sorted(one for one in examples(rig) if one[0] == "a") == [("a", None)] * len(users)
    assert rig.users.open_windows() == 0


async def test_a_batch_that_touches_one_item_thousands_of_times_sends_messages_of_bounded_size_in_order() -> None:
    rig = Rig()
    count = 25 * TOUCHES_A_MESSAGE
    await rig.user_agent.process(0, [logged(view("a", 0, f"e{offset}"), offset) for offset in range(count)])
    messages = rig.log.messages(ITEM_TOUCHES)
    assert len(messages) == 25
    assert max(len(message.value or b"") for message in messages) < 1_000_000 / 4
    touched = [decode(ItemTouches, message.value) for message in messages]
    assert [touch.source_offset for one in touched for touch in one.touches] == list(range(count))
    await rig.item_agent.process(messages[0].partition, messages)
    assert rig.outcomes("items", "counted") == count


async def test_touches_make_item_features_once_however_often_they_come() -> None:
    rig = Rig()
    await rig.user_agent.process(0, [logged(view("a", 0), 0), logged(view("b", 1), 1), logged(click("b", 2), 2)])
    touches = rig.log.messages(ITEM_TOUCHES)
    for partition in range(ITEM_TOUCHES.partitions):
        of_partition = [message for message in touches if message.partition == partition]
        for batch in [of_partition] * 2 if of_partition else []:
            await rig.item_agent.process(partition, batch)
    rig.item_rows.flush()
    found = rig.store.read_item(ItemId("b"))
    assert found is not None
    assert (found.views_1h, found.clicks_1h, found.co_visit_items) == (1, 1, ("a",))
    assert sorted(message.key or b"" for message in rig.log.messages(ITEM_FEATURES)) == [b"a", b"b"]


async def test_the_item_agent_dead_letters_what_it_cannot_read_and_goes_on() -> None:
    rig = Rig()
    await rig.user_agent.process(0, [logged(view("a", 0), 0)])
    [good] = rig.log.messages(ITEM_TOUCHES)
    await rig.item_agent.process(good.partition, [LoggedMessage(ITEM_TOUCHES.name, 0, 9, b"x", b"{}"), good])
    assert len(rig.log.messages(DEAD_LETTERS)) == 1
    assert rig.items.writes == 1


async def test_the_open_windows_are_counted_for_the_boards_until_their_partition_is_given_back() -> None:
    rig = Rig()
    await rig.user_agent.process(0, [logged(impression("r1", 0, "a"), 0)])
    await rig.user_agent.tick(0)
    assert rig.metrics.open_windows._value.get() == 1
    await rig.user_agent.close(0)
    await rig.user_agent.tick(1)
    assert rig.metrics.open_windows._value.get() == 0
