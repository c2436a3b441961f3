"""`GET /v1/freshness`: the two live figures and the versions served."""

from fastapi import APIRouter

from contracts.requests import FreshnessAnswer
from services.gateway.parts import GatewayParts


def routes(parts: GatewayParts) -> APIRouter:
    """The route of freshness."""
    router = APIRouter(tags=["freshness"])

    @router.get("/v1/freshness")
    async def get_freshness() -> FreshnessAnswer:
        """Click to changed ranking, click to changed weights: percentiles over the last 500 of each."""
        served = parts.slot.served()
        newest = served[-1] if served else None
        return FreshnessAnswer(
            click_to_ranking_s=parts.traces.freshness.click_to_ranking(),
            click_to_weights_s=parts.traces.freshness.click_to_weights(),
            model_version=newest.version if newest else None,
            model_age_s=(parts.clock() - newest.created_at).total_seconds() if newest else None,
            versions_served=[version.version for version in served],
        )

    return router
