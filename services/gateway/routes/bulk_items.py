"""`POST /v1/items`: many items in one request. Good ones are taken though others of the batch are refused."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import ValidationError

from contracts.catalogue import Item
from contracts.errors import BadInput, InvalidMessage
from contracts.refusals import first_refusal, shown
from contracts.requests import ItemRequest, ItemsAnswer, RejectedItem
from services.gateway.parts import GatewayParts
from services.gateway.problems import told
from services.gateway.routes.batches import MAX_BATCH, batch_of, described
from services.gateway.routes.items import item_of, published

_BODY = described(
    f"An array of items as `PUT` takes them, each with its `item_id`; at most {MAX_BATCH}.",
    {"type": "array", "items": {"type": "object"}},
    [{"item_id": "mug-1", "title": "Blue mug"}],
)


def routes(parts: GatewayParts) -> APIRouter:
    """The route of many items."""
    router = APIRouter(tags=["catalogue"])

    @router.post(
        "/v1/items",
        status_code=202,
        response_model=ItemsAnswer,
        openapi_extra=_BODY,
        responses=told(400, 413, 422, 503),
    )
    async def post_items(request: Request) -> Response:
        """Adds items or replaces them, whole; answers when the log has acknowledged them."""
        items: list[Item] = []
        rejected: list[RejectedItem] = []
        for index, fields in enumerate(await batch_of(request, "items", "a list of items")):
            try:
                items.append(await _item(parts, fields))
            except BadInput as error:
                rejected.append(RejectedItem(index=index, reason=error.reason, detail=str(error)))
        if not items:
            raise InvalidMessage(f"none of {len(rejected)} items can be taken; the first: {rejected[0].detail}")
        await published(parts, items)
        return JSONResponse(ItemsAnswer(accepted=len(items), rejected=rejected).model_dump(), status_code=202)

    return router


async def _item(parts: GatewayParts, fields: Any) -> Item:
    if not isinstance(fields, dict):
        raise InvalidMessage(f"found {shown(fields)}; expected an object with item_id and title")
    try:
        request = ItemRequest.model_validate(fields)
    except ValidationError as error:
        raise InvalidMessage(first_refusal(error)) from error
    if request.item_id is None:
        raise InvalidMessage("field item_id: found nothing; expected the item's id")
    return await item_of(parts, request.item_id, request)
