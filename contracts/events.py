"""The events of a shop: one discriminated union, JSON on the wire, `schema_version` in each.

Interactions and impressions share the topic `events`, keyed by user, so that an impression always comes before the
clicks on it. Catalogue events go to the topic `items`, keyed by item.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from contracts.bounds import ID, WORD, Cents, Finite, Pieces, PiecesOrBack, SearchText, UtcDatetime
from contracts.catalogue import Item
from contracts.clock import utc_now
from contracts.ids import EventId, ItemId, ModelVersion, RequestId, SessionId, UserId, time_ordered_id


class EventKind(StrEnum):
    """Every kind of event; the value is the `kind` on the wire."""

    IMPRESSION = "impression"
    VIEW = "view"
    CLICK = "click"
    ADD_TO_CART = "add_to_cart"
    PURCHASE = "purchase"
    SEARCH = "search"
    RATING = "rating"
    ITEM_UPSERTED = "item_upserted"
    ITEM_DELETED = "item_deleted"


ITEM_INTERACTIONS = frozenset(
    {EventKind.VIEW, EventKind.CLICK, EventKind.ADD_TO_CART, EventKind.PURCHASE, EventKind.RATING}
)
"""The kinds in which a user touches one item."""


MOST_SHOWN = 1000
"""Items of one impression."""


def _new_event_id() -> EventId:
    return EventId(time_ordered_id("evt", utc_now()))


class _Event(BaseModel):
    """What all events bear.

    Attributes:
        schema_version: Version of this event's schema.
        event_id: The idempotence key: an event seen twice counts once.
        at: When it happened (event time), aware; kept in UTC.
        traced: Whether its way through the system is stamped; set by the gateway.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    event_id: Annotated[EventId, ID] = Field(default_factory=_new_event_id)
    at: UtcDatetime = Field(default_factory=utc_now)
    traced: bool = False


class _UserEvent(_Event):
    user_id: Annotated[UserId, ID]
    session_id: Annotated[SessionId, ID] | None = None


class _ItemInteraction(_UserEvent):
    """A user touches an item. `request_id` names the answer that showed the item, where there was one."""

    item_id: Annotated[ItemId, ID]
    request_id: Annotated[RequestId, ID] | None = None


class View(_ItemInteraction):
    """An item's page was opened."""

    kind: Literal[EventKind.VIEW] = EventKind.VIEW


class Click(_ItemInteraction):
    """A shown item was clicked."""

    kind: Literal[EventKind.CLICK] = EventKind.CLICK


class AddToCart(_ItemInteraction):
    """An item was put in the cart."""

    kind: Literal[EventKind.ADD_TO_CART] = EventKind.ADD_TO_CART
    quantity: Pieces = 1


class Purchase(_ItemInteraction):
    """An item was bought. A `quantity` below zero cancels an earlier purchase; zero is refused."""

    kind: Literal[EventKind.PURCHASE] = EventKind.PURCHASE
    quantity: PiecesOrBack = 1
    price_cents: Cents | None = None


class Rating(_ItemInteraction):
    """An item was rated, from 1 (bad) to 5 (good)."""

    kind: Literal[EventKind.RATING] = EventKind.RATING
    stars: Annotated[float, Field(ge=1, le=5)]


class Search(_UserEvent):
    """A user searched. `text` is empty for a search by picture alone."""

    kind: Literal[EventKind.SEARCH] = EventKind.SEARCH
    text: SearchText = ""
    request_id: Annotated[RequestId, ID] | None = None


class ImpressedItem(BaseModel):
    """One item of an answer as it was shown: its position from 0 and the sources that proposed it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    item_id: Annotated[ItemId, ID]
    position: Annotated[int, Field(ge=0, le=MOST_SHOWN)]
    score: Finite
    sources: Annotated[tuple[Annotated[str, WORD], ...], Field(max_length=20)] = ()


class Impression(_UserEvent):
    """An answer was shown: written by the gateway for each recommendation or search answer.

    Attributes:
        features_event_count: `event_count` of the user's row that the answer was made with: which state of the row was
            served. None when it was made without one.
    """

    kind: Literal[EventKind.IMPRESSION] = EventKind.IMPRESSION
    request_id: Annotated[RequestId, ID]
    surface: Literal["recommendations", "search"]
    model_version: Annotated[ModelVersion, ID] | None
    features_event_count: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    items: Annotated[tuple[ImpressedItem, ...], Field(max_length=MOST_SHOWN)]


class ItemUpserted(_Event):
    """An item was added to the catalogue or changed: the whole item, never a part."""

    kind: Literal[EventKind.ITEM_UPSERTED] = EventKind.ITEM_UPSERTED
    item: Item


class ItemDeleted(_Event):
    """An item left the catalogue."""

    kind: Literal[EventKind.ITEM_DELETED] = EventKind.ITEM_DELETED
    item_id: Annotated[ItemId, ID]


ItemInteraction = View | Click | AddToCart | Purchase | Rating
Interaction = ItemInteraction | Search
UserEvent = Annotated[Impression | View | Click | AddToCart | Purchase | Search | Rating, Field(discriminator="kind")]
CatalogueEvent = Annotated[ItemUpserted | ItemDeleted, Field(discriminator="kind")]
ShopEvent = Annotated[View | Click | AddToCart | Purchase | Search | Rating, Field(discriminator="kind")]
"""What a shop posts: an impression is the gateway's own word."""

USER_EVENT: TypeAdapter[Impression | Interaction] = TypeAdapter(UserEvent)
CATALOGUE_EVENT: TypeAdapter[ItemUpserted | ItemDeleted] = TypeAdapter(CatalogueEvent)
SHOP_EVENT: TypeAdapter[Interaction] = TypeAdapter(ShopEvent)
