"""`/healthz` (the replica lives), `/readyz` (it has read the log and may be asked), `/metrics`."""

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from contracts.errors import NoModel
from services import metrics
from services.bounded import Bounded
from services.gateway.parts import GatewayParts


def routes(parts: GatewayParts) -> APIRouter:
    """The routes of health."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Answers as long as the replica does."""
        return {"status": "ok"}

    @router.get("/readyz", responses={503: {"description": "The log is still being read."}})
    async def readyz() -> Response:
        """Ready once the log has been read; the parts' states tell what answers do without."""
        ready = parts.tail.ready
        body = {"ready": ready, "items": len(parts.view), "parts": states(parts)}
        return JSONResponse(body, status_code=200 if ready else 503, headers=None if ready else {"retry-after": "1"})

    @router.get("/metrics", response_class=Response)
    async def get_metrics() -> Response:
        """Prometheus metrics of this replica."""
        served = parts.slot.served()
        if served:
            metrics.MODEL_AGE_SECONDS.set((parts.clock() - served[-1].created_at).total_seconds())
            metrics.MODEL_VERSION.clear()
            metrics.MODEL_VERSION.labels(version=served[-1].version).set(1)
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router


def states(parts: GatewayParts) -> dict[str, str]:
    """One word for each part: ok, away, refilling, stale, empty, none, or reading."""
    now = parts.clock()
    try:
        parts.slot.current()
        model = "ok"
    except NoModel:
        model = "none"
    return {
        "log": "away" if parts.tail.away or not parts.log.available else "ok" if parts.tail.ready else "reading",
        "catalogue": "ok" if len(parts.view) else "empty",
        "model": model,
        "features": _store(parts.feature_calls, bool(parts.refill.missing)),
        "vectors": _store(parts.vector_calls, parts.vector_watch.refilling),
        "streams": "ok" if parts.liveness.fresh("streams", now) else "stale",
        "learner": "ok" if parts.liveness.fresh("learner", now) else "stale",
    }


def _store(calls: Bounded, refilling: bool) -> str:
    return "away" if not calls.available else "refilling" if refilling else "ok"
