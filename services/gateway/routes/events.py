"""`POST /v1/events`: one event or a batch. Good events are logged though others of the batch are refused."""

from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from contracts.clock import to_ms
from contracts.errors import BadInput, InvalidMessage
from contracts.events import Interaction
from contracts.requests import EventsAnswer, Problem, RejectedEvent
from contracts.topics import EVENTS
from contracts.traces import Stage
from contracts.wire import decode_shop_event, encode
from services import metrics
from services.gateway.log_writer import Outgoing
from services.gateway.parts import GatewayParts
from services.gateway.problems import problem

MAX_BATCH = 1_000

_BODY = {
    "requestBody": {
        "required": True,
        "description": f"One event, an array of events, or an object with the array `events`; at most {MAX_BATCH}.",
        "content": {
            "application/json": {
                "schema": {"anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}]},
                "example": {"kind": "click", "user_id": "u1", "item_id": "i1"},
            }
        },
    }
}


def routes(parts: GatewayParts) -> APIRouter:
    """The routes of events."""
    router = APIRouter(tags=["events"])

    @router.post(
        "/v1/events",
        status_code=202,
        response_model=EventsAnswer,
        openapi_extra=_BODY,
        responses={status: {"model": Problem} for status in (400, 413, 422, 503)},
    )
    async def post_events(request: Request) -> Response:
        """Takes events; answers when the log has acknowledged them.

        An `event_id` sent again counts once; an event without `at` happened now.
        """
        received_at = parts.clock()
        try:
            body = orjson.loads(await request.body())
        except orjson.JSONDecodeError as error:
            return problem(
                400, "malformed_json", f"found a body that is no JSON ({error}); expected one event or a list"
            )
        events, rejected = _decoded(_as_list(body), parts)
        if not events:
            return _all_rejected(rejected)

        ids = [event.event_id for event in events]
        await parts.log.publish([Outgoing(EVENTS, event.user_id, encode(event)) for event in events])
        parts.traces.stamp(ids, Stage.RECEIVED, received_at)
        parts.traces.stamp(ids, Stage.LOGGED, parts.clock())
        for event in events:
            metrics.EVENTS_ACCEPTED.labels(kind=event.kind.value).inc()
        answer = EventsAnswer(accepted=len(events), event_ids=ids, rejected=rejected)
        return JSONResponse(answer.model_dump(), status_code=202)

    return router


def _as_list(body: Any) -> list[Any]:
    events = body["events"] if isinstance(body, dict) and isinstance(body.get("events"), list) else body
    events = events if isinstance(events, list) else [events]
    if not events:
        raise InvalidMessage("found a batch without events; expected at least one")
    if len(events) > MAX_BATCH:
        raise InvalidMessage(
            f"found {len(events)} events; expected at most {MAX_BATCH} in a batch; send them in several"
        )
    return events


def _decoded(bodies: list[Any], parts: GatewayParts) -> tuple[list[Interaction], list[RejectedEvent]]:
    now = parts.clock()
    events: list[Interaction] = []
    rejected: list[RejectedEvent] = []
    for index, fields in enumerate(bodies):
        try:
            event = decode_shop_event({"at": now, **fields} if isinstance(fields, dict) else fields, now)
            if to_ms(event.at) < 0:
                raise InvalidMessage(f"found at={event.at.isoformat()}, before 1970; expected a time since then")
            events.append(event.model_copy(update={"traced": True}))
        except BadInput as error:
            metrics.EVENTS_REJECTED.labels(reason=error.reason).inc()
            rejected.append(RejectedEvent(index=index, reason=error.reason, detail=str(error)))
    return events, rejected


def _all_rejected(rejected: list[RejectedEvent]) -> Response:
    first = rejected[0]
    return problem(
        422,
        first.reason,
        f"none of {len(rejected)} events can be taken; the first: {first.detail}",
        [each.model_dump() for each in rejected],
    )
