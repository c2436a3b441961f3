"""`GET /v1/traces/{event_id}`: the way of one event, from HTTP to the first answers made with it."""

from fastapi import APIRouter

from contracts.ids import EventId
from contracts.traces import Trace
from services.gateway.parts import GatewayParts
from services.gateway.problems import NotThere, told


def routes(parts: GatewayParts) -> APIRouter:
    """The route of traces."""
    router = APIRouter(tags=["freshness"])

    @router.get("/v1/traces/{event_id:path}", responses=told(404))
    async def get_trace(event_id: str) -> Trace:
        """The stamps so far, and the two figures once they are known."""
        trace = parts.traces.trace(EventId(event_id))
        if trace is None:
            raise NotThere(
                f"found no trace of {event_id!r}; expected an event posted to this gateway, one of the newest 20,000"
            )
        return trace

    return router
