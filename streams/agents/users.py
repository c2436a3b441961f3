"""The user agent: events to user features, examples and item touches.

The protocol of a batch, in this order, so that a crash at any point loses nothing and doubles nothing:

1. decode; what cannot be used becomes a dead letter;
2. fold, in memory, into the states of the batch's users;
3. publish touches, examples, stamps and dead letters, and wait for their acknowledgement;
4. write each changed state once, and wait for the changelog;
5. the lane acknowledges the messages.

A crash before 4 folds the same events into the same states and publishes the same ids again; a crash after 4 finds them
in the states and publishes nothing.
"""

import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from contracts.clock import Clock, to_ms
from contracts.errors import BadInput, InvalidMessage
from contracts.events import Impression, Interaction, Search
from contracts.features import UserFeatures
from contracts.ids import EventId, ItemId, UserId
from contracts.interactions import ItemTouch, ItemTouches
from contracts.ports import EventLog, LoggedMessage
from contracts.topics import FEEDBACK, ITEM_TOUCHES
from contracts.traces import Stage
from contracts.wire import decode_user_event
from streams.attributes import CatalogueAttributes
from streams.feature_writer import FeatureWriter, Offer, row_time
from streams.metrics import StreamMetrics
from streams.open_windows import OpenWindows
from streams.publishing import Outbox
from streams.state import attribution, user_features
from streams.state.admission import Outcome, Place
from streams.state.rules import Rules
from streams.state.user_features import Attributes
from streams.state.user_state import UserState, step
from streams.tables import PartitionedTable

CLOSED_AT_ONCE = 200
"""Users whose windows one tick closes."""


class UserAgent:
    """The work of the user agent's lanes.

    Args:
        table: User states.
        log: Takes what a batch sends.
        features: Takes user rows.
        attributes: Category and brand of items.
        windows: Which users have windows to close.
        rules: The folds' numbers.
        metrics: Counts.
        clock: Now, for refusing events of the future and for stamps.
    """

    def __init__(
        self,
        *,
        table: PartitionedTable[UserState],
        log: EventLog,
        features: FeatureWriter[UserFeatures],
        attributes: CatalogueAttributes,
        windows: OpenWindows,
        rules: Rules,
        metrics: StreamMetrics,
        clock: Clock,
    ):
        self._table = table
        self._log = log
        self._features = features
        self._attributes = attributes
        self._windows = windows
        self._rules = rules
        self._metrics = metrics
        self._clock = clock

    async def process(self, partition: int, messages: Sequence[LoggedMessage]) -> None:
        """One batch, steps 1 to 4. Raises Unavailable when the log is away."""
        batch = _Batch(self._table, partition)
        outbox = Outbox(self._log, self._metrics)
        touches: dict[ItemId, list[ItemTouch]] = {}
        now = self._clock()
        for message in messages:
            try:
                event = _decoded(message, now)
            except BadInput as error:
                outbox.refuse(message, error, now)
                continue
            self._fold(batch, event, Place(partition, message.offset), touches, outbox)
        for item_id, of_item in touches.items():
            outbox.add(ITEM_TOUCHES, item_id, ItemTouches(item_id=item_id, touches=tuple(of_item)))
        self._offer(batch)
        await outbox.send()
        await self._table.put(partition, batch.changed())
        self._note(partition, batch)

    async def refuse(self, message: LoggedMessage, error: Exception) -> None:
        """Dead-letters a message that breaks a batch. Raises LogUnavailable."""
        outbox = Outbox(self._log, self._metrics)
        outbox.refuse(message, error, self._clock())
        await outbox.send()

    async def tick(self, partition: int) -> None:
        """Closes windows of quiet users that ended before the partition's watermark. Raises Unavailable."""
        due = self._windows.due(partition, CLOSED_AT_ONCE)
        if not due:
            return
        batch = _Batch(self._table, partition)
        outbox = Outbox(self._log, self._metrics)
        watermark_ms = self._windows.watermark_ms(partition)
        for user_id in due:
            state = batch.state(UserId(user_id))
            closed, examples = attribution.close(
                state.attribution, UserId(user_id), watermark_ms, state.features.recent, self._rules
            )
            for example in examples:
                outbox.add(FEEDBACK, user_id, example)
            batch.keep(UserId(user_id), UserState(state.features, closed))
        await outbox.send()
        await self._table.put(partition, batch.changed())
        self._note(partition, batch)

    def restore(self, partition: int, user_id: str, state: UserState) -> None:
        """A state found in an owned partition at start: its row is offered, its windows are noted."""
        self._windows.advance(partition, state.features.last_event_ms)
        self._windows.note(partition, user_id, state.attribution.next_close_ms(self._rules))
        if state.features.row_us:
            self._features.restore(user_id, self._row(state, (), None))

    def _fold(
        self,
        batch: "_Batch",
        event: Impression | Interaction,
        place: Place,
        touches: dict[ItemId, list[ItemTouch]],
        outbox: Outbox,
    ) -> None:
        one = step(batch.state(event.user_id), event, self._attributes_of(event), place, self._rules)
        batch.outcomes[one.outcome] += 1
        batch.keep(event.user_id, one.state)
        if not isinstance(event, Impression):
            batch.offered.setdefault(event.user_id, [])
        if not one.outcome.new:
            return
        self._windows.advance(place.partition, to_ms(event.at))
        for item_id, touch in one.touches:
            touches.setdefault(item_id, []).append(touch)
        for example in one.examples:
            outbox.add(FEEDBACK, event.user_id, example)
        if event.traced:
            now = self._clock()
            outbox.stamp(event.event_id, Stage.FOLDED, now)
            if any(example.event_id == event.event_id for example in one.examples):
                outbox.stamp(event.event_id, Stage.EXAMPLE_EMITTED, now)
            if not isinstance(event, Impression):
                batch.offered[event.user_id].append(event.event_id)

    def _attributes_of(self, event: Impression | Interaction) -> Attributes | None:
        return None if isinstance(event, Impression | Search) else self._attributes.get(event.item_id)

    def _offer(self, batch: "_Batch") -> None:
        folded_s = time.monotonic()
        for user_id, traced in batch.offered.items():
            self._features.offer(user_id, self._row(batch.state(user_id), tuple(traced), folded_s))

    def _row(self, state: UserState, traced: tuple[EventId, ...], folded_s: float | None) -> Offer[UserFeatures]:
        features, rules = state.features, self._rules
        return Offer(row_time(features.row_us), lambda: user_features.row(features, rules), traced, folded_s)

    def _note(self, partition: int, batch: "_Batch") -> None:
        for outcome, count in batch.outcomes.items():
            self._metrics.outcomes.labels("users", outcome.value).inc(count)
        for user_id, state in batch.states.items():
            self._windows.note(partition, user_id, state.attribution.next_close_ms(self._rules))
        self._metrics.open_windows.set(len(self._windows))


class _Batch:
    """The states of one batch's users: read once, kept in memory, the changed ones written once."""

    def __init__(self, table: PartitionedTable[UserState], partition: int):
        self._table = table
        self._partition = partition
        self._before: dict[UserId, UserState] = {}
        self.states: dict[UserId, UserState] = {}
        self.offered: dict[UserId, list[EventId]] = {}
        self.outcomes: Counter[Outcome] = Counter()

    def state(self, user_id: UserId) -> UserState:
        if user_id not in self.states:
            found = self._table.get(self._partition, user_id) or UserState()
            self._before[user_id] = self.states[user_id] = found
        return self.states[user_id]

    def keep(self, user_id: UserId, state: UserState) -> None:
        self.states[user_id] = state

    def changed(self) -> dict[UserId, UserState]:
        return {user: state for user, state in self.states.items() if state is not self._before[user]}


def _decoded(message: LoggedMessage, now: datetime) -> Impression | Interaction:
    event = decode_user_event(message.value, now)
    if message.key != event.user_id.encode():
        raise InvalidMessage(
            f"found key {message.key!r} on an event of user {event.user_id!r}; expected the user's id as the key, for "
            "the key decides whose state the event reaches"
        )
    return event
