"""`/v1/items`: what the shop sells. A change is an event of the log; it reaches answers within a second."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from contracts.bounds import ID
from contracts.catalogue import Item
from contracts.errors import BadPicture, InvalidMessage
from contracts.events import ItemDeleted, ItemUpserted
from contracts.ids import ItemId, PictureKey
from contracts.refusals import shown
from contracts.requests import ItemAnswer, ItemChange, ItemRequest
from contracts.topics import ITEMS
from contracts.wire import encode
from services.gateway.log_writer import Outgoing
from services.gateway.parts import GatewayParts
from services.gateway.problems import NotThere, told
from services.gateway.search import picture_bytes

ItemPath = Annotated[str, ID]
"""An id may hold slashes: percent-encoded or not, they are part of it."""

ONE = "/v1/items/{item_id:path}"


class ItemPage(BaseModel):
    """A page of the catalogue.

    Attributes:
        items: Popular ones first, or in order of id where `after` was given.
        total: Items in all (of the category).
        offset: As asked.
        next_after: What to give as `after` for the next page; null where there is none.
        categories: Number of items by category.
    """

    items: list[Item]
    total: int
    offset: int
    next_after: ItemId | None = None
    categories: dict[str, int]


def routes(parts: GatewayParts) -> APIRouter:
    """The routes of items."""
    router = APIRouter(tags=["catalogue"])

    @router.put(ONE, status_code=202, responses=told(413, 422, 503))
    async def put_item(item_id: ItemPath, request: ItemRequest) -> ItemAnswer:
        """Adds an item or replaces it, whole: what is left out is gone. What `GET` gave can be put back."""
        if request.item_id not in (None, item_id):
            raise InvalidMessage(
                f"field item_id: found {shown(request.item_id)}; expected that of the path, {shown(item_id)}, or none"
            )
        (event,) = await published(parts, [await item_of(parts, ItemId(item_id), request)])
        return ItemAnswer(item_id=event.item.item_id, event_id=event.event_id)

    @router.patch(ONE, status_code=202, responses=told(404, 413, 422, 503))
    async def patch_item(item_id: ItemPath, request: ItemChange) -> ItemAnswer:
        """Changes what is given of an item and leaves all else, its picture too.

        The change is made to the item as this replica knows it: of two at once, by two replicas, the later one stays.
        """
        known, given = _known(parts, item_id), request.model_fields_set
        fields = request.model_dump(include=set(given) - {"picture", "picture_base64"})
        if given & {"picture", "picture_base64"}:
            fields["picture"] = await _picture_of(parts, request)
        (event,) = await published(parts, [known.model_copy(update=fields)])
        return ItemAnswer(item_id=event.item.item_id, event_id=event.event_id)

    @router.delete(ONE, status_code=202, responses=told(404, 503))
    async def delete_item(item_id: ItemPath) -> ItemAnswer:
        """Takes an item out of the catalogue and out of every answer.

        The deletion of an unknown item is logged too: another replica may have taken the item a moment ago.
        """
        known = parts.view.item(ItemId(item_id)) is not None
        event = ItemDeleted(at=parts.clock(), item_id=ItemId(item_id))
        await parts.log.publish([Outgoing(ITEMS, item_id, encode(event))])
        parts.view.remove(event.item_id)
        if not known:
            raise _unknown(item_id)
        return ItemAnswer(item_id=event.item_id, event_id=event.event_id)

    @router.get(ONE, responses=told(404, 503))
    async def get_item(item_id: ItemPath) -> Item:
        """One item."""
        return _known(parts, item_id)

    @router.get("/v1/items", responses=told(503))
    async def get_items(
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=200)] = 24,
        category: Annotated[str | None, Query(max_length=200)] = None,
        after: Annotated[str | None, Query(max_length=128)] = None,
    ) -> ItemPage:
        """A page of the catalogue, and the categories with their number of items.

        What is popular comes first, an order that clicks change: to read all, give `after` (empty at first, then
        `next_after`), and items come in order of id.
        """
        ids = parts.view.popular(category)
        if after is not None:
            read = parts.view.after(after, limit, category)
            last = read[-1].item_id if len(read) == limit else None
            return ItemPage(items=read, total=len(ids), offset=0, next_after=last, categories=parts.view.categories())
        found = (parts.view.item(item_id) for item_id in ids[offset : offset + limit])
        items = [item for item in found if item is not None]
        return ItemPage(items=items, total=len(ids), offset=offset, categories=parts.view.categories())

    return router


def _known(parts: GatewayParts, item_id: str) -> Item:
    item = parts.view.item(ItemId(item_id))
    if item is None:
        raise _unknown(item_id)
    return item


def _unknown(item_id: str) -> NotThere:
    return NotThere(f"found no item {item_id!r} in the catalogue; expected one that was put and not deleted")


async def published(parts: GatewayParts, items: Sequence[Item]) -> list[ItemUpserted]:
    """Logs the items, waits for the acknowledgement, and shows them at once; returns their events.

    Raises:
        MessageTooLarge: the log never takes one of them.
        LogUnavailable: some were not acknowledged in time.
    """
    at = parts.clock()
    events = [ItemUpserted(at=at, item=item) for item in items]
    await parts.log.publish([Outgoing(ITEMS, event.item.item_id, encode(event)) for event in events])
    for item in items:
        parts.view.put(item)
    return events


async def item_of(parts: GatewayParts, item_id: ItemId, request: ItemRequest) -> Item:
    """The item that a request describes, its picture kept. Raises as `_picture_of`."""
    return request.item(item_id, await _picture_of(parts, request))


async def _picture_of(parts: GatewayParts, request: ItemRequest | ItemChange) -> PictureKey | None:
    """The key of the picture that a request gives, by its bytes or by a key that the shop has; None without one.

    Raises:
        InvalidMessage: both are given.
        BadPicture: no picture, or a key of none.
        PicturesUnavailable: the disk does not take it.
    """
    if request.picture is not None and request.picture_base64 is not None:
        raise InvalidMessage("found picture and picture_base64; expected one of them, or none")
    loop, pictures = asyncio.get_running_loop(), parts.adapters.pictures
    sent = picture_bytes(request.picture_base64, parts.settings.picture_max_bytes)
    if sent is not None:
        return await loop.run_in_executor(parts.picture_calls, pictures.put, sent)
    key = request.picture
    if key is not None and await loop.run_in_executor(parts.picture_calls, pictures.get, key) is None:
        raise BadPicture(f"found no picture {key}; expected the key of one that the shop has, or picture_base64")
    return key
