"""The training example: what the join agent writes to the feedback topic and what the model learns from."""

from typing import Annotated

from pydantic import Field

from contracts.bounds import UtcDatetime
from contracts.events import EventKind
from contracts.formats import InternalMessage
from contracts.ids import EventId, ExampleId, ItemId, ModelVersion, RequestId, UserId


class TrainingExample(InternalMessage):
    """One labelled (user, item) pair with the user's history just before it.

    Attributes:
        example_id: Idempotence key, a function of what it was joined from: a redelivery gives the same id.
        at: Event time of the outcome, or of the impression for a negative.
        outcome: What the user did with the item; None for an item that was shown and left alone.
        event_id: The outcome's event; None for a negative.
        request_id: The answer that showed the item; None for an organic interaction (no impression known).
        position: Where it was shown, from 0; None when organic.
        model_version: The version that ranked that answer.
        quantity: Units bought; below zero cancels.
        history_items: Items before this one, oldest first, at most `HISTORY_LENGTH`, aligned with the next two.
        history_kinds: Event kinds of the history.
        history_times_ms: Event times of the history, ms since the epoch.
        traced: Whether the learner stamps the way of `event_id`.
    """

    example_id: ExampleId
    user_id: UserId
    item_id: ItemId
    at: UtcDatetime
    outcome: EventKind | None
    event_id: EventId | None = None
    request_id: RequestId | None = None
    position: Annotated[int, Field(ge=0)] | None = None
    model_version: ModelVersion | None = None
    quantity: int = 1
    history_items: tuple[ItemId, ...] = ()
    history_kinds: tuple[EventKind, ...] = ()
    history_times_ms: tuple[int, ...] = ()
    traced: bool = False

    @property
    def cancels(self) -> bool:
        """Whether it takes a purchase back, which tells neither that the item is liked nor that it is not."""
        return self.quantity < 0
