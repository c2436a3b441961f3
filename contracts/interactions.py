"""What the user agent tells the item agent: the same interactions, keyed by item, many in one message.

A message is folded into an item's counts exactly once: `source_partition` and `source_offset` name the event's place
in the topic `events`, and an item ignores places that it has already passed.
"""

from pydantic import BaseModel, ConfigDict

from contracts.bounds import UtcDatetime
from contracts.events import EventKind
from contracts.formats import InternalMessage
from contracts.ids import EventId, ItemId


class ItemTouch(BaseModel):
    """One interaction (or impression) seen from the item.

    Attributes:
        neighbours: Items that the same user touched before it in the same session, newest last: the co-visits.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    event_id: EventId
    source_partition: int
    source_offset: int
    kind: EventKind
    at: UtcDatetime
    quantity: int = 1
    neighbours: tuple[ItemId, ...] = ()


class ItemTouches(InternalMessage):
    """A batch of touches of one item, in the order of their places in `events`."""

    item_id: ItemId
    touches: tuple[ItemTouch, ...]
