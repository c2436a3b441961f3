"""Events of one small shop, at minutes after a fixed noon; used by the streams' tests."""

from datetime import UTC, datetime, timedelta

from contracts.clock import to_ms
from contracts.events import (
    AddToCart,
    Click,
    ImpressedItem,
    Impression,
    Interaction,
    Purchase,
    Rating,
    Search,
    View,
)
from contracts.ids import EventId, ItemId, ModelVersion, RequestId, UserId
from contracts.ports import LoggedMessage
from contracts.topics import EVENTS
from contracts.wire import encode
from streams.state.admission import Place
from streams.state.rules import Rules

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ANN = UserId("ann")
RULES = Rules()


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def ms(minutes: float) -> int:
    return to_ms(at(minutes))


def view(item: str, minutes: float, event_id: str = "", **fields: object) -> View:
    return View(
        user_id=ANN, item_id=ItemId(item), at=at(minutes), event_id=_id("view", item, minutes, event_id), **fields
    )


def click(item: str, minutes: float, event_id: str = "", **fields: object) -> Click:
    return Click(
        user_id=ANN, item_id=ItemId(item), at=at(minutes), event_id=_id("click", item, minutes, event_id), **fields
    )


def cart(item: str, minutes: float) -> AddToCart:
    return AddToCart(user_id=ANN, item_id=ItemId(item), at=at(minutes), event_id=_id("cart", item, minutes, ""))


def purchase(item: str, minutes: float, quantity: int = 1) -> Purchase:
    return Purchase(
        user_id=ANN, item_id=ItemId(item), at=at(minutes), quantity=quantity,
        event_id=_id(f"purchase{quantity}", item, minutes, ""),
    )  # fmt: skip


def rating(item: str, minutes: float, stars: float) -> Rating:
    return Rating(
        user_id=ANN, item_id=ItemId(item), at=at(minutes), stars=stars, event_id=_id("rating", item, minutes, "")
    )


def search(minutes: float) -> Search:
    return Search(user_id=ANN, text="tea", at=at(minutes), event_id=_id("search", "tea", minutes, ""))


def impression(request: str, minutes: float, *items: str) -> Impression:
    return Impression(
        user_id=ANN, request_id=RequestId(request), surface="recommendations", model_version=ModelVersion("v1"),
        at=at(minutes), event_id=_id("impression", request, minutes, ""),
        items=tuple(ImpressedItem(item_id=ItemId(item), position=place, score=1.0) for place, item in enumerate(items)),
    )  # fmt: skip


def place(offset: int, partition: int = 0) -> Place:
    return Place(partition, offset)


def logged(event: Interaction | Impression, offset: int, partition: int = 0) -> LoggedMessage:
    return LoggedMessage(EVENTS.name, partition, offset, event.user_id.encode(), encode(event))


def _id(kind: str, what: str, minutes: float, given: str) -> EventId:
    return EventId(given or f"{kind}-{what}-{minutes}")
