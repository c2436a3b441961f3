"""The item agent: touches to item features.

The protocol of a batch: 1. decode, dead-letter; 2. fold in memory; 3. publish dead letters and wait; 4. write each
changed state once and wait for the changelog; 5. offer the rows, also of items whose touches came again; 6. the lane
counts the batch as done. It is committed once the rows are written: a row that a crash swallows is made again.
"""

import time
from collections import Counter
from collections.abc import Sequence

from contracts.clock import Clock
from contracts.errors import BadInput
from contracts.features import ItemFeatures
from contracts.ids import ItemId
from contracts.interactions import ItemTouches
from contracts.ports import EventLog, LoggedMessage
from contracts.wire import decode
from streams.feature_writer import FeatureWriter, Offer, row_time
from streams.metrics import StreamMetrics
from streams.publishing import Outbox
from streams.state import item_features
from streams.state.admission import Outcome
from streams.state.item_features import ItemFeatureState
from streams.state.rules import Rules
from streams.tables import PartitionedTable


class ItemAgent:
    """The work of the item agent's lanes.

    Args:
        table: Item states.
        log: Takes dead letters.
        features: Takes item rows.
        rules: The folds' numbers.
        metrics: Counts.
        clock: Time of dead letters.
    """

    def __init__(
        self,
        *,
        table: PartitionedTable[ItemFeatureState],
        log: EventLog,
        features: FeatureWriter[ItemFeatures],
        rules: Rules,
        metrics: StreamMetrics,
        clock: Clock,
    ):
        self._table = table
        self._log = log
        self._features = features
        self._rules = rules
        self._metrics = metrics
        self._clock = clock

    async def process(self, partition: int, messages: Sequence[LoggedMessage]) -> None:
        """One batch, steps 1 to 5. Raises Unavailable when the log is away."""
        await self._table.settle(partition)
        before: dict[ItemId, ItemFeatureState] = {}
        states: dict[ItemId, ItemFeatureState] = {}
        outcomes: Counter[Outcome] = Counter()
        outbox = Outbox(self._log, self._metrics)
        for message in messages:
            try:
                touched = decode(ItemTouches, message.value)
            except BadInput as error:
                outbox.refuse(message, error, self._clock())
                continue
            item_id = touched.item_id
            if item_id not in states:
                before[item_id] = states[item_id] = self._table.get(partition, item_id) or ItemFeatureState()
            states[item_id] = self._folded(states[item_id], touched, outcomes)
        await outbox.send()
        changed = {item_id: state for item_id, state in states.items() if state is not before[item_id]}
        newest_ms = max((state.last_event_ms for state in changed.values()), default=0)
        await self._table.put(partition, changed, messages[-1].offset, newest_ms)
        for outcome, count in outcomes.items():
            self._metrics.outcomes.labels("items", outcome.value).inc(count)
        folded_s = time.monotonic()
        for item_id, state in states.items():
            self._features.offer(item_id, self._row(state, partition, messages[0].offset, folded_s))

    async def refuse(self, message: LoggedMessage, error: Exception) -> None:
        """Dead-letters a message that breaks a batch. Raises LogUnavailable."""
        outbox = Outbox(self._log, self._metrics)
        outbox.refuse(message, error, self._clock())
        await outbox.send()

    def restore(self, partition: int, item_id: str, state: ItemFeatureState) -> None:
        """Offers the row of a state again: the online store has lost it."""
        self._features.restore(item_id, self._row(state, partition, 0, None))

    async def close(self, partition: int) -> None:
        """Gives the partition back: its new owner writes the rows that wait."""
        self._features.drop(partition)
        self._table.close(partition)

    def _folded(self, state: ItemFeatureState, touched: ItemTouches, outcomes: Counter[Outcome]) -> ItemFeatureState:
        for touch in touched.touches:
            state, outcome = item_features.fold(state, touch, self._rules)
            outcomes[outcome] += 1
        return state

    def _row(self, state: ItemFeatureState, partition: int, offset: int, folded_s: float | None) -> Offer[ItemFeatures]:
        rules = self._rules
        return Offer(
            row_time(state.row_us), lambda: item_features.row(state, state.last_event_ms, rules), partition, offset,
            (), folded_s,
        )  # fmt: skip
