"""`POST /v1/recommendations`."""

from fastapi import APIRouter

from contracts.requests import Answer, RecommendationRequest
from services.gateway.parts import GatewayParts
from services.gateway.problems import told
from services.gateway.recommend import recommend


def routes(parts: GatewayParts) -> APIRouter:
    """The route of recommendations."""
    router = APIRouter(tags=["answers"])

    @router.post("/v1/recommendations", responses=told(400, 413, 422, 503))
    async def post_recommendations(request: RecommendationRequest) -> Answer:
        """Items for a user: known, new or anonymous. It answers although parts are missing, and says which."""
        return await recommend(parts, request)

    return router
