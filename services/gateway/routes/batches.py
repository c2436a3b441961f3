"""A body that is one thing or many: what the routes of events and of items read by themselves."""

from typing import Any

import orjson
from fastapi import Request

from contracts.errors import InvalidMessage
from services.gateway.problems import MalformedJson

MAX_BATCH = 1_000


async def batch_of(request: Request, name: str, expected: str) -> list[Any]:
    """What a body holds: one object, a list, or an object with a list of this name.

    Args:
        request: Whose body it is.
        name: What the things are called.
        expected: What the body should be, in words.

    Raises:
        MalformedJson: it is no JSON.
        InvalidMessage: it holds nothing, or more than `MAX_BATCH`.
    """
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        raise MalformedJson(error, expected) from error
    given = body[name] if isinstance(body, dict) and isinstance(body.get(name), list) else body
    given = given if isinstance(given, list) else [given]
    if not given:
        raise InvalidMessage(f"found a batch without {name}; expected at least one")
    if len(given) > MAX_BATCH:
        raise InvalidMessage(
            f"found {len(given)} {name}; expected at most {MAX_BATCH} in a batch; send them in several"
        )
    return given


def described(description: str, schema: dict[str, Any], example: Any) -> dict[str, Any]:
    """Such a body in the API's description."""
    content = {"application/json": {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "description": description, "content": content}}
