"""Every error answer is RFC 9457 problem details: what was found, what was expected, what to do.

| error | status | reason |
|---|---|---|
| malformed JSON | 400 | malformed_json |
| a field that does not fit | 422 | invalid |
| `BadInput` | 422 | the class's own |
| no such thing, no such route | 404 | not_found |
| wrong method | 405 | method_not_allowed |
| body beyond the limit | 413 | body_too_large |
| `MessageTooLarge` | 413 | too_large |
| `Unavailable`, `ModelError` | 503, `retry-after` | the class's own; `starting` while the catalogue is being read |
| anything else | 500 | internal |
"""

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from contracts.errors import BadInput, MessageTooLarge, MillstreamError, ModelError, Unavailable
from contracts.refusals import phrased
from contracts.requests import Problem

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 1
MOST_ERRORS = 20
"""Of a body in which everything is wrong, so many places are told."""

_TITLES = {
    400: "Bad request",
    404: "Not found",
    405: "Method not allowed",
    413: "Body too large",
    415: "Unsupported media type",
    422: "Not acceptable as it is",
    500: "Internal error",
    503: "A part of the system is away",
}
_REASONS = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large", 415: "unsupported_media_type"}


class NotThere(HTTPException):
    """404 with a whole sentence: the thing asked for is not known."""

    def __init__(self, detail: str):
        super().__init__(404, detail)


class MalformedJson(HTTPException):
    """400: a body that a route reads by itself is no JSON."""

    reason = "malformed_json"

    def __init__(self, error: ValueError, expected: str):
        super().__init__(400, f"found a body that is no JSON ({error}); expected {expected}")


class BodyTooLarge(HTTPException):
    """413: the body is larger than the gateway takes."""

    def __init__(self, found: str, limit_bytes: int):
        super().__init__(
            413,
            f"found a body of {found} bytes; expected at most {limit_bytes}; send less at once or a smaller picture",
        )


def problem(
    status: int,
    reason: str,
    detail: str,
    errors: list[dict[str, Any]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The error answer."""
    body = Problem(title=_TITLES.get(status, "Error"), status=status, detail=detail, reason=reason, errors=errors or [])
    return JSONResponse(body.model_dump(), status_code=status, headers=headers, media_type=MEDIA_TYPE)


def told(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route's `responses` say of the errors that it answers with, for the API's description."""
    return {status: {"model": Problem} for status in statuses}


def install(app: FastAPI) -> None:
    """Registers the handlers on the application."""
    app.add_exception_handler(MillstreamError, _of_millstream)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _of_anything)


async def _of_millstream(request: Request, error: Exception) -> Response:
    if not isinstance(error, MillstreamError):
        raise error
    if isinstance(error, BadInput):
        return problem(422, error.reason, str(error))
    if isinstance(error, MessageTooLarge):
        return problem(413, error.reason, str(error))
    if isinstance(error, Unavailable | ModelError):
        return problem(503, error.reason, str(error), headers={"retry-after": str(RETRY_AFTER_S)})
    return await _of_anything(request, error)


async def _of_validation(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    found = error.errors()
    first = found[0]
    if first["type"] == "json_invalid":
        cause = first.get("ctx", {}).get("error", "no JSON")
        return problem(
            400, "malformed_json",
            f"found a body that is no JSON ({cause}, at character {first['loc'][-1]}); expected a JSON object",
        )  # fmt: skip
    refused = [
        phrased({**each, "loc": [part for part in each["loc"] if part != "body"]}) for each in found[:MOST_ERRORS]
    ]
    errors = [{"field": each.field or "(body)", "found": each.found, "expected": each.expected} for each in refused]
    detail = (
        f"field {errors[0]['field']}: found {errors[0]['found']}; expected: {errors[0]['expected']}; "
        "the whole schema is at /docs"
    )
    if _wrong_media_type(request, found):
        media_type = request.headers.get("content-type", "none")
        detail = f"found content-type {media_type}; expected a JSON body sent with content-type: application/json"
        return problem(415, "unsupported_media_type", detail)
    return problem(422, "invalid", detail, errors)


async def _of_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    reason = error.reason if isinstance(error, MalformedJson) else _REASONS.get(error.status_code, "http_error")
    detail = str(error.detail)
    if error.status_code == 404 and not isinstance(error, NotThere):
        detail = f"found no route for {request.method} {request.url.path}; expected one of those listed at /docs"
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another method")
        detail = f"found {request.method} on {request.url.path}; expected {allowed}"
    return problem(error.status_code, reason, detail, headers=error.headers)


async def _of_anything(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(
        500, "internal",
        "found an error inside the gateway; it is in its log with this path and time; sending again may help",
    )  # fmt: skip


def _wrong_media_type(request: Request, found: Any) -> bool:
    declared = request.headers.get("content-type", "")
    return (
        "json" not in declared and any(tuple(each["loc"]) == ("body",) for each in found) and request.method == "POST"
    )
