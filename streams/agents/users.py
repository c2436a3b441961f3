"""The user agent: events to user features, examples and item touches.

The protocol of a batch, in this order, so that a crash at any point loses nothing and doubles nothing:

1. decode; what cannot be used becomes a dead letter;
2. fold, in memory, into the states of the batch's users;
3. publish touches, examples, stamps and dead letters, and wait for their acknowledgement;
4. write each changed state once, and wait for the changelog and the local copy;
5. offer the users' rows; the lane counts the batch as done.

A crash before 4 folds the same events into the same states and publishes the same ids again; a crash after 4 finds them
in the states, publishes nothing, and offers the rows again.
"""

import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import islice

from contracts.clock import Clock, to_ms
from contracts.errors import BadInput, FeaturesUnavailable, InvalidMessage
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
from streams.publishing import Outbox
from streams.quiet import Quiet
from streams.state import attribution, user_features
from streams.state.admission import Outcome, Place
from streams.state.rules import Rules
from streams.state.user_features import Attributes
from streams.state.user_state import UserState, step
from streams.tables import PartitionedTable

CLOSED_AT_ONCE = 500
"""Users whose windows are closed with one write; a timer goes on while there are more."""

TOUCHES_A_MESSAGE = 200
"""Touches of one item in one message: some 60 kB, however often a batch touches it."""

ROWS_WAITING = 100_000
"""Rows that may wait for the online store before folding waits too."""


class UserAgent:
    """The work of the user agent's lanes.

    Args:
        table: User states.
        log: Takes what a batch sends.
        features: Takes user rows.
        attributes: Category and brand of items.
        quiet: Who was heard of a moment ago.
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
        quiet: Quiet,
        rules: Rules,
        metrics: StreamMetrics,
        clock: Clock,
    ):
        self._table = table
        self._log = log
        self._features = features
        self._attributes = attributes
        self._quiet = quiet
        self._open_windows: dict[int, int] = {}
        self._rules = rules
        self._metrics = metrics
        self._clock = clock

    async def process(self, partition: int, messages: Sequence[LoggedMessage]) -> None:
        """One batch, steps 1 to 5. Raises Unavailable when the log, the disk or, for long, the store is away."""
        if self._features.waiting() > ROWS_WAITING:
            raise FeaturesUnavailable(
                f"found {self._features.waiting()} rows waiting for the online store; expected at most {ROWS_WAITING}; "
                "check the store: folding goes on when it answers"
            )
        await self._table.settle(partition)
        batch = _Batch(self._table, partition, messages[0].offset)
        outbox = Outbox(self._log, self._metrics)
        now = self._clock()
        for message in messages:
            try:
                event = _decoded(message, message.judged_at(now))
            except BadInput as error:
                outbox.refuse(message, error, now)
                continue
            self._fold(batch, event, Place(partition, message.offset), outbox)
        batch.send_touches(outbox)
        await outbox.send()  # 3
        await self._table.put(partition, batch.changed(), messages[-1].offset, batch.newest_ms)  # 4
        self._offer(batch)  # 5
        self._note(batch)

    async def refuse(self, message: LoggedMessage, error: Exception) -> None:
        """Dead-letters a message that breaks a batch. Raises LogUnavailable."""
        outbox = Outbox(self._log, self._metrics)
        outbox.refuse(message, error, self._clock())
        await outbox.send()

    async def tick(self, partition: int) -> bool:
        """Closes windows of quiet users that ended before the partition's watermark; true when more are due.

        Raises:
            Unavailable: the log or the disk is away.
        """
        await self._table.settle(partition)
        self._open_windows[partition] = self._table.open_windows(partition)
        self._metrics.open_windows.set(sum(self._open_windows.values()))
        progress = self._table.progress(partition)
        if progress.mark + 1 < progress.muted_until:
            return False  # a rebuild: what the timer closed then is told already
        watermark_ms = progress.watermark_ms
        # A shopper who comes back in time closes the window by an event, so only quiet ones are closed from here: while
        # a past log is replayed beside live events, the watermark is ahead of the replay.
        ended = (
            user_id
            for user_id in self._table.due(partition, watermark_ms - self._rules.attribution_window_ms, CLOSED_AT_ONCE)
            if self._quiet.is_quiet(partition, user_id)
        )
        due = list(islice(ended, CLOSED_AT_ONCE))
        if not due:
            return False
        batch = _Batch(self._table, partition, 0)
        outbox = Outbox(self._log, self._metrics)
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
        return len(due) == CLOSED_AT_ONCE

    def restore(self, partition: int, user_id: str, state: UserState) -> None:
        """Offers the row of a state again: the online store has lost it."""
        if state.features.row_us:
            self._features.restore(user_id, self._row(state, partition, 0, (), None))

    async def close(self, partition: int) -> None:
        """Gives the partition back: its new owner writes the rows that wait."""
        self._features.drop(partition)
        self._quiet.forget(partition)
        self._open_windows.pop(partition, None)
        self._table.close(partition)

    def _fold(self, batch: "_Batch", event: Impression | Interaction, place: Place, outbox: Outbox) -> None:
        one = step(batch.state(event.user_id), event, self._attributes_of(event), place, self._rules)
        batch.outcomes[one.outcome] += 1
        batch.keep(event.user_id, one.state)
        if not isinstance(event, Impression):
            batch.offered.setdefault(event.user_id, [])
        if not one.outcome.new:
            return
        batch.newest_ms = max(batch.newest_ms, to_ms(event.at))
        for item_id, touch in one.touches:
            batch.touches.setdefault(item_id, []).append(touch)
        if place.offset < self._table.progress(place.partition).muted_until:
            return  # a rebuild: the learner and the archive have these examples
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
            row = self._row(batch.state(user_id), batch.partition, batch.offset, tuple(traced), folded_s)
            self._features.offer(user_id, row)

    def _row(
        self, state: UserState, partition: int, offset: int, traced: tuple[EventId, ...], folded_s: float | None
    ) -> Offer[UserFeatures]:
        features, rules = state.features, self._rules
        return Offer(
            row_time(features.row_us), lambda: user_features.row(features, rules), partition, offset, traced, folded_s
        )

    def _note(self, batch: "_Batch") -> None:
        for outcome, count in batch.outcomes.items():
            self._metrics.outcomes.labels("users", outcome.value).inc(count)
        self._quiet.heard(batch.partition, batch.states)


class _Batch:
    """The states of one batch's users: read once, kept in memory, the changed ones written once."""

    def __init__(self, table: PartitionedTable[UserState], partition: int, offset: int):
        self._table = table
        self.partition = partition
        self.offset = offset
        self.newest_ms = 0
        self.touches: dict[ItemId, list[ItemTouch]] = {}
        self._before: dict[UserId, UserState] = {}
        self.states: dict[UserId, UserState] = {}
        self.offered: dict[UserId, list[EventId]] = {}
        self.outcomes: Counter[Outcome] = Counter()

    def state(self, user_id: UserId) -> UserState:
        if user_id not in self.states:
            found = self._table.get(self.partition, user_id) or UserState()
            self._before[user_id] = self.states[user_id] = found
        return self.states[user_id]

    def keep(self, user_id: UserId, state: UserState) -> None:
        self.states[user_id] = state

    def changed(self) -> dict[UserId, UserState]:
        return {user: state for user, state in self.states.items() if state is not self._before[user]}

    def send_touches(self, outbox: Outbox) -> None:
        """An item takes its touches in order and passes over earlier ones: parts of one batch go one after another."""
        for item_id, touches in self.touches.items():
            for wave, start in enumerate(range(0, len(touches), TOUCHES_A_MESSAGE)):
                part = tuple(touches[start : start + TOUCHES_A_MESSAGE])
                outbox.add(ITEM_TOUCHES, item_id, ItemTouches(item_id=item_id, touches=part), wave)


def _decoded(message: LoggedMessage, now: datetime) -> Impression | Interaction:
    event = decode_user_event(message.value, now)
    if message.key != event.user_id.encode():
        raise InvalidMessage(
            f"found key {message.key!r} on an event of user {event.user_id!r}; expected the user's id as the key, for "
            "the key decides whose state the event reaches"
        )
    return event
