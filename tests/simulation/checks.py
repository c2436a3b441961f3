"""What must hold: at each commit that nothing was skipped, and at the end that the faults have left no trace.

The yardstick is the pure fold over the log, message by message, as a single worker that nothing disturbs would make it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from aiokafka import TopicPartition

from contracts.clock import to_ms
from contracts.events import Impression
from contracts.examples import TrainingExample
from contracts.ids import ItemId, UserId
from contracts.interactions import ItemTouches
from contracts.rows import ItemFeatureRow
from contracts.topics import DEAD_LETTERS, EVENTS, FEEDBACK, ITEM_FEATURES
from contracts.wire import decode, decode_user_event, encode
from streams.state import attribution, item_features, user_features
from streams.state.admission import Place
from streams.state.item_features import ItemFeatureState
from streams.state.user_state import UserState, step
from streams.state.windows import totals
from streams.state_db import Record
from tests.simulation.broker import Broker
from tests.streams.doubles import NOW
from tests.streams.shop import RULES

USER_STATES = msgspec.msgpack.Decoder(tuple[int, UserState])
ITEM_STATES = msgspec.msgpack.Decoder(tuple[int, ItemFeatureState])


class Undisturbed:
    """What the log comes to without any fault; folds each partition of `events` as far as it is asked to."""

    def __init__(self, broker: Broker):
        self._broker = broker
        self.folded: dict[int, int] = {}
        self.users: dict[str, UserState] = {}
        self.items: dict[str, ItemFeatureState] = {}
        self.examples: dict[str, bytes] = {}
        self.watermark_ms: dict[int, int] = {}
        self.partition_of: dict[str, int] = {}

    def fold(self, partition: int, until: int) -> dict[str, tuple[int, int]]:
        """Folds up to an offset; returns, of users with new messages, the last one's offset and the events counted."""
        found: dict[str, tuple[int, int]] = {}
        for message in self._broker.read(TopicPartition(EVENTS.name, partition), self.folded.get(partition, 0)):
            if message.offset >= until:
                break
            event = decode_user_event(message.value, NOW)
            user = event.user_id
            one = step(self.users.get(user, UserState()), event, None, Place(partition, message.offset), RULES)
            self.users[user], self.partition_of[user] = one.state, partition
            self.examples |= {example.example_id: encode(example) for example in one.examples}
            for item, touch in one.touches:
                self.items[item], _ = item_features.fold(self.items.get(item, ItemFeatureState()), touch, RULES)
            if one.outcome.new:
                self.watermark_ms[partition] = max(self.watermark_ms.get(partition, 0), to_ms(event.at))
            rows = one.state.features.event_count if not isinstance(event, Impression) else 0
            found[user] = message.offset, max(rows, found.get(user, (0, 0))[1])
        self.folded[partition] = max(until, self.folded.get(partition, 0))
        return found

    def close_windows(self) -> None:
        """Closes all that ended before the watermark of its partition."""
        for user, state in self.users.items():
            watermark_ms = self.watermark_ms.get(self.partition_of[user], 0)
            closed, examples = attribution.close(
                state.attribution, UserId(user), watermark_ms, state.features.recent, RULES
            )
            self.users[user] = UserState(state.features, closed)
            self.examples |= {example.example_id: encode(example) for example in examples}


class Checks:
    """Watches a broker and a store, and tells each problem once."""

    def __init__(self, broker: Broker, store: Any, problem: Callable[[str], None]):
        self._broker = broker
        self._store = store
        self._problem = problem
        self._undisturbed = Undisturbed(broker)
        self._user_offset: dict[str, int] = {}
        self._item_marks: dict[str, dict[int, int]] = {}
        self._touches_checked: dict[int, int] = {}
        broker.on_commit = self.committed
        broker.on_append = self.appended

    def appended(self, table: str, partition: int, records: Sequence[Record]) -> None:
        """Called with what a changelog takes."""
        for record in records:
            key = record.key.decode()
            if record.value is None:
                self._problem(f"found a tombstone of {key!r} in the changelog of {table}; expected none")
            elif table == "users":
                seen = USER_STATES.decode(record.value)[1].features.seen
                self._user_offset[key] = max(self._user_offset.get(key, -1), seen.offset)
            else:
                marks = self._item_marks.setdefault(key, {})
                for source, offset in ITEM_STATES.decode(record.value)[1].marks.items():
                    marks[source] = max(marks.get(source, -1), offset)

    def committed(self, topic: str, partition: int, offset: int) -> None:
        """Called with each commit that landed: all before it must be folded, and written."""
        where = f"{topic}-{partition} committed to {offset}"
        if offset > len(self._broker.read(TopicPartition(topic, partition))):
            self._problem(f"{where}, behind the log's end")
        if topic == EVENTS.name:
            for user, (last, rows) in self._undisturbed.fold(partition, offset).items():
                if self._user_offset.get(user, -1) < last:
                    self._problem(f"{where}, but {user} is folded to {self._user_offset.get(user, -1)} of {last}")
                if self._store.counted.get(user, 0) < rows:
                    self._problem(
                        f"{where}, but {rows} events of {user} are in no row: {self._store.counted.get(user)}"
                    )
            return
        first = self._touches_checked.get(partition, 0)
        for message in self._broker.read(TopicPartition(topic, partition), first)[: max(0, offset - first)]:
            touched = decode(ItemTouches, message.value)
            for touch in touched.touches:
                marks = self._item_marks.get(touched.item_id, {})
                if marks.get(touch.source_partition, -1) < touch.source_offset:
                    self._problem(f"{where}, but item {touched.item_id} is folded to {marks}: {touch}")
                if self._store.seen_ms.get(touched.item_id, 0) < to_ms(touch.at):
                    self._problem(f"{where}, but item {touched.item_id} has no row of {touch}")
        self._touches_checked[partition] = max(first, offset)

    def windows_due(self) -> list[str]:
        """Users whose state in the changelog has a window that ended."""
        undisturbed = self._undisturbed
        found = []
        for number, states in self._newest("users", USER_STATES).items():
            until_ms = undisturbed.watermark_ms.get(number, 0) - RULES.attribution_window_ms
            found += [
                f"{key} has a window due" for key, state in states.items() if (state.opened_ms() or 1e18) <= until_ms
            ]
        return found

    def at_rest(self, workers: Sequence[Any]) -> None:
        """Compares everything with a run that nothing has disturbed. Raises AssertionError."""
        undisturbed = self._undisturbed
        for number in range(self._broker.partitions):
            undisturbed.fold(number, len(self._broker.read(TopicPartition(EVENTS.name, number))))
        undisturbed.close_windows()
        letters = [message.value for message in self._broker.topic(DEAD_LETTERS)]
        assert letters == [], f"dead letters: {letters[:3]}"
        users = {key: state for states in self._newest("users", USER_STATES).values() for key, state in states.items()}
        _same("user states", {key: _bytes(state) for key, state in users.items()},
              {key: _bytes(state) for key, state in undisturbed.users.items()})  # fmt: skip
        examples = {
            decode(TrainingExample, message.value).example_id: message.value for message in self._broker.topic(FEEDBACK)
        }
        _same("examples", examples, undisturbed.examples)
        items = {key: state for states in self._newest("items", ITEM_STATES).values() for key, state in states.items()}
        _same("item states", {key: _counts(state) for key, state in items.items()},
              {key: _counts(state) for key, state in undisturbed.items.items()})  # fmt: skip
        self._rows(users, items)
        self._copies(workers)

    def _rows(self, users: dict[str, UserState], items: dict[str, ItemFeatureState]) -> None:
        for key, state in users.items():
            expected = user_features.row(state.features, RULES) if state.features.row_us else None
            assert self._store.read_user(UserId(key)) == expected, f"row of {key}"
        published = {}
        for message in self._broker.topic(ITEM_FEATURES):
            row = decode(ItemFeatureRow, message.value)
            if row.item_id not in published or row.at >= published[row.item_id].at:
                published[row.item_id] = row
        for key, item in items.items():
            expected_row = item_features.row(item, item.last_event_ms, RULES)
            assert self._store.read_item(ItemId(key)) == expected_row, f"row of item {key}"
            assert published[ItemId(key)].features() == expected_row, f"published row of item {key}"

    def _copies(self, workers: Sequence[Any]) -> None:
        for table in ("users", "items"):
            for number in range(self._broker.partitions):
                last = {record.key: record.value for _, record in self._broker.changelogs[table].records(number)}
                newest = self._newest_records(table, number)
                assert {key: value for key, (_, value) in newest.items()} == last, f"{table}-{number}: old states last"
                for worker in workers:
                    slot = getattr(worker, table)._slots[number]
                    copy = {key: value for key, _, value in slot.db.rows()}
                    assert copy == last, f"{table}-{number}: the copy of {worker.life.name} differs"

    def _newest(self, table: str, decoder: Any) -> dict[int, dict[str, Any]]:
        return {
            number: {
                key.decode(): decoder.decode(value)[1]
                for key, (_, value) in self._newest_records(table, number).items()
            }
            for number in range(self._broker.partitions)
        }

    def _newest_records(self, table: str, number: int) -> dict[bytes, tuple[int, bytes]]:
        newest: dict[bytes, tuple[int, bytes]] = {}
        for _, record in self._broker.changelogs[table].records(number):
            if record.value is not None and record.mark >= newest.get(record.key, (-1, b""))[0]:
                newest[record.key] = record.mark, record.value
        return newest


def _same(what: str, found: dict[Any, Any], expected: dict[Any, Any]) -> None:
    differing = sorted(key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key))
    shown = [f"{key}: {found.get(key)!r} instead of {expected.get(key)!r}" for key in differing[:2]]
    assert not differing, f"{what} differ at {differing}: {'; '.join(shown)}"


def _bytes(state: Any) -> bytes:
    return msgspec.msgpack.encode(state)


def _counts(state: ItemFeatureState) -> dict[str, Any]:
    """What of an item's state does not depend on how the touches of several partitions interleave, but for rounding."""
    windows = ("impressions", "views", "clicks", "carts", "purchases")
    decayed = {"trend": state.trend, **state.co_visits}
    return (
        {"marks": dict(sorted(state.marks.items())), "last_event_ms": state.last_event_ms}
        | {name: totals(getattr(state, name), state.last_event_ms) for name in windows}
        | {name: (round(total.weight, 6), total.at_ms) for name, total in sorted(decayed.items())}
    )
