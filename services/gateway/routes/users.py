"""`GET /v1/users/{user_id}`: what is known of a user, as the next answer will use it."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel

from contracts.bounds import ID
from contracts.clock import to_ms
from contracts.errors import FeaturesUnavailable
from contracts.ids import UserId
from services.gateway.parts import GatewayParts
from services.gateway.problems import NotThere, told

READ_TIMEOUT_S = 1.0


class UserAnswer(BaseModel):
    """A user's row and the seconds since its newest interaction."""

    user_id: UserId
    age_s: float | None
    features: dict[str, Any]


def routes(parts: GatewayParts) -> APIRouter:
    """The route of users."""
    router = APIRouter(tags=["users"])

    @router.get("/v1/users/{user_id:path}", responses=told(404, 503))
    async def get_user(user_id: Annotated[str, ID]) -> UserAnswer:
        """The user's features."""
        user = await parts.feature_calls.call(READ_TIMEOUT_S, parts.adapters.features.read_user, UserId(user_id))
        if user is None and parts.refill.users:
            raise FeaturesUnavailable(
                f"found no features of the user {user_id!r} in a feature store that is being refilled; expected it "
                "whole; ask again later"
            )
        if user is None:
            raise NotThere(f"found no features of the user {user_id!r}; expected a user with at least one event")
        age_s = (to_ms(parts.clock()) - user.last_event_ms) / 1000 if user.last_event_ms else None
        return UserAnswer(user_id=UserId(user_id), age_s=age_s, features=user.to_values())

    return router
