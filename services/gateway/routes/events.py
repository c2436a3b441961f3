"""`POST /v1/events`: one event or a batch. Good events are logged though others of the batch are refused."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from contracts.errors import BadInput, LogUnavailable, MessageTooLarge
from contracts.events import Interaction
from contracts.requests import EventsAnswer, RejectedEvent
from contracts.topics import EVENTS
from contracts.traces import Stage
from contracts.wire import decode_shop_event, encode
from services import metrics
from services.gateway.log_writer import Outgoing
from services.gateway.parts import GatewayParts
from services.gateway.problems import RETRY_AFTER_S, problem, told
from services.gateway.routes.batches import MAX_BATCH, batch_of, described

_BODY = described(
    f"One event, an array of events, or an object with the array `events`; at most {MAX_BATCH}.",
    {"anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}]},
    {"kind": "click", "user_id": "u1", "item_id": "i1"},
)


def routes(parts: GatewayParts) -> APIRouter:
    """The routes of events."""
    router = APIRouter(tags=["events"])

    @router.post(
        "/v1/events",
        status_code=202,
        response_model=EventsAnswer,
        openapi_extra=_BODY,
        responses=told(400, 413, 422, 503),
    )
    async def post_events(request: Request) -> Response:
        """Takes events; answers when the log has acknowledged them.

        An `event_id` sent again counts once; an event without `at` happened now. A 503 names in `errors` the ids and
        times that events were given here: sent again with them, none counts twice.
        """
        received_at = parts.clock()
        events, rejected = _decoded(await batch_of(request, "events", "one event or a list"), parts)
        if not events:
            return _all_rejected(rejected)

        ids = [event.event_id for event in events]
        try:
            await parts.log.publish([Outgoing(EVENTS, event.user_id, encode(event)) for event in events])
        except MessageTooLarge:
            raise
        except LogUnavailable as error:
            return _not_acknowledged(error, events)
        parts.traces.stamp(ids, Stage.RECEIVED, received_at)
        parts.traces.stamp(ids, Stage.LOGGED, parts.clock())
        for event in events:
            metrics.EVENTS_ACCEPTED.labels(kind=event.kind.value).inc()
        answer = EventsAnswer(accepted=len(events), event_ids=ids, rejected=rejected)
        return JSONResponse(answer.model_dump(), status_code=202)

    return router


def _decoded(bodies: list[Any], parts: GatewayParts) -> tuple[list[Interaction], list[RejectedEvent]]:
    now = parts.clock()
    events: list[Interaction] = []
    rejected: list[RejectedEvent] = []
    for index, fields in enumerate(bodies):
        try:
            event = decode_shop_event({"at": now, **fields} if isinstance(fields, dict) else fields, now)
            events.append(event.model_copy(update={"traced": True}))
        except BadInput as error:
            metrics.EVENTS_REJECTED.labels(reason=error.reason).inc()
            rejected.append(RejectedEvent(index=index, reason=error.reason, detail=str(error)))
    return events, rejected


def _not_acknowledged(error: LogUnavailable, events: list[Interaction]) -> Response:
    given = [{"event_id": event.event_id, "at": event.at.isoformat(), "user_id": event.user_id} for event in events]
    return problem(503, error.reason, str(error), given, {"retry-after": str(RETRY_AFTER_S)})


def _all_rejected(rejected: list[RejectedEvent]) -> Response:
    first = rejected[0]
    return problem(
        422,
        first.reason,
        f"none of {len(rejected)} events can be taken; the first: {first.detail}",
        [each.model_dump() for each in rejected],
    )
