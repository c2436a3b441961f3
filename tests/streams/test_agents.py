import pytest

from contracts.catalogue import Item
from contracts.deadletters import DeadLetter
from contracts.errors import LogUnavailable
from contracts.events import ItemUpserted
from contracts.examples import TrainingExample
from contracts.ids import EventId, ItemId
from contracts.interactions import ItemTouches
from contracts.ports import LoggedMessage
from contracts.topics import DEAD_LETTERS, EVENTS, FEEDBACK, ITEM_FEATURES, ITEM_TOUCHES, TRACES
from contracts.traces import TraceStamp
from contracts.wire import decode, encode
from tests.streams.doubles import Rig
from tests.streams.shop import ANN, NOON, RULES, click, impression, logged, search, view

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


async def test_a_click_reaches_the_online_store_and_the_archive() -> None:
    rig = Rig()
    await rig.user_agent.process(0, [logged(click("a", 1), 0)])
    assert rig.user_rows.flush() == 1
    found = rig.store.read_user(ANN)
    assert found is not None
    assert (found.recent_items, found.clicks_1h) == (("a",), 1)
    assert [row["user_id"] for row in rig.archive.rows] == [ANN]


async def test_affinities_read_the_catalogues_attributes() -> None:
    rig = Rig()
    item = Item(item_id=ItemId("a"), title="Green tea", category="tea", brand="leaf")
    rig.attributes.apply(encode(ItemUpserted(item=item, at=NOON, event_id=EventId("up"))))
    rig.attributes.apply(b"no json")
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


async def test_a_batch_that_failed_before_the_table_was_written_publishes_the_same_again() -> None:
    rig = Rig()
    batch = [logged(impression("r1", 0, "a", "b"), 0), logged(click("b", 1), 1)]
    rig.users.available = False
    with pytest.raises(LogUnavailable):
        await rig.user_agent.process(0, batch)
    rig.users.available = True
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


async def test_windows_are_known_again_after_a_restart() -> None:
    before = Rig()
    await before.user_agent.process(0, [logged(search(0), 0), logged(impression("r1", 1, "a"), 1)])
    after = Rig()
    after.users = before.users
    state = before.users.get(0, ANN)
    after.user_agent.restore(0, ANN, state)
    assert len(after.windows) == 1
    assert after.user_rows.flush() == 1


async def test_touches_make_item_features_once_however_often_they_come() -> None:
    rig = Rig()
    await rig.user_agent.process(0, [logged(view("a", 0), 0), logged(view("b", 1), 1), logged(click("b", 2), 2)])
    touches = rig.log.messages(ITEM_TOUCHES)
    for partition in range(ITEM_TOUCHES.partitions):
        of_partition = [message for message in touches if message.partition == partition]
        await rig.item_agent.process(partition, of_partition)
        await rig.item_agent.process(partition, of_partition)
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
