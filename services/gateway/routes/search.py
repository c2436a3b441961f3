"""`POST /v1/search`."""

from fastapi import APIRouter

from contracts.requests import Answer, SearchRequest
from services.gateway.parts import GatewayParts
from services.gateway.problems import told
from services.gateway.search import search


def routes(parts: GatewayParts) -> APIRouter:
    """The route of search."""
    router = APIRouter(tags=["answers"])

    @router.post("/v1/search", responses=told(400, 413, 422, 503))
    async def post_search(request: SearchRequest) -> Answer:
        """Items for words, for a picture, or for both; in the user's order when a `user_id` is given."""
        return await search(parts, request)

    return router
