"""`/v1/items`: what the shop sells. A change is an event of the log; it reaches answers within a second."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from contracts.catalogue import Item
from contracts.events import ItemDeleted, ItemUpserted
from contracts.ids import ItemId, PictureKey
from contracts.requests import ItemAnswer, ItemRequest, Problem
from contracts.topics import ITEMS
from contracts.wire import encode
from services.gateway.log_writer import Outgoing
from services.gateway.parts import GatewayParts
from services.gateway.problems import NotThere
from services.gateway.search import picture_bytes

ItemPath = Annotated[str, Path(min_length=1, max_length=128)]


class ItemPage(BaseModel):
    """A page of the catalogue, what is popular first."""

    items: list[Item]
    total: int
    offset: int
    categories: dict[str, int]


def routes(parts: GatewayParts) -> APIRouter:
    """The routes of items."""
    router = APIRouter(tags=["catalogue"])

    @router.put("/v1/items/{item_id}", status_code=202, responses={status: {"model": Problem} for status in (422, 503)})
    async def put_item(item_id: ItemPath, request: ItemRequest) -> ItemAnswer:
        """Adds an item or replaces it, whole: what is left out is gone."""
        picture = await _stored(parts, request.picture_base64)
        fields = request.model_dump(exclude={"picture_base64"})
        event = ItemUpserted(at=parts.clock(), item=Item(item_id=ItemId(item_id), picture=picture, **fields))
        await parts.log.publish([Outgoing(ITEMS, item_id, encode(event))])
        parts.view.put(event.item)
        return ItemAnswer(item_id=event.item.item_id, event_id=event.event_id)

    @router.delete(
        "/v1/items/{item_id}", status_code=202, responses={status: {"model": Problem} for status in (404, 503)}
    )
    async def delete_item(item_id: ItemPath) -> ItemAnswer:
        """Takes an item out of the catalogue and out of every answer."""
        item = _known(parts, item_id)
        event = ItemDeleted(at=parts.clock(), item_id=item.item_id)
        await parts.log.publish([Outgoing(ITEMS, item_id, encode(event))])
        parts.view.remove(item.item_id)
        return ItemAnswer(item_id=item.item_id, event_id=event.event_id)

    @router.get("/v1/items/{item_id}", responses={404: {"model": Problem}})
    async def get_item(item_id: ItemPath) -> Item:
        """One item."""
        return _known(parts, item_id)

    @router.get("/v1/items")
    async def get_items(
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=200)] = 24,
        category: Annotated[str | None, Query(max_length=200)] = None,
    ) -> ItemPage:
        """A page of the catalogue, and the categories with their number of items."""
        ids = parts.view.popular(category)
        found = (parts.view.item(item_id) for item_id in ids[offset : offset + limit])
        items = [item for item in found if item is not None]
        return ItemPage(items=items, total=len(ids), offset=offset, categories=parts.view.categories())

    return router


def _known(parts: GatewayParts, item_id: str) -> Item:
    item = parts.view.item(ItemId(item_id))
    if item is None:
        raise NotThere(f"found no item {item_id!r} in the catalogue; expected one that was put and not deleted")
    return item


async def _stored(parts: GatewayParts, picture_base64: str | None) -> PictureKey | None:
    picture = picture_bytes(picture_base64, parts.settings.picture_max_bytes)
    if picture is None:
        return None
    return await asyncio.get_running_loop().run_in_executor(parts.picture_calls, parts.adapters.pictures.put, picture)
