"""The gateway as an ASGI application, without Ray: routes, limits, problem details, the page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI

from services.gateway import problems
from services.gateway.body_limit import BodyLimit
from services.gateway.parts import GatewayParts
from services.gateway.request_metrics import RequestMetrics
from services.gateway.routes import (
    bulk_items,
    embeddings,
    events,
    freshness,
    health,
    items,
    page,
    pictures,
    recommendations,
    search,
    traces,
    users,
)

DESCRIPTION = "Search and recommendations that change within seconds of a click. Every answer says how it was made."

START_WAIT_S = 120.0
LONE_START_WAIT_S = 20.0
"""A replica that starts waits so long for the catalogue, then is there to refuse by itself what it cannot answer yet.
An only one waits less: nobody answers in its place, and a request would hang in Serve's proxy."""


def create_api(parts: GatewayParts) -> FastAPI:
    """The application over its parts; the parts are started and stopped with it."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # Serve gives the replica requests once this returns.
        parts.start()
        await parts.warm_up()
        alone = parts.settings.serving_replicas == 1
        if await parts.tail.wait_until_ready(LONE_START_WAIT_S if alone else START_WAIT_S):
            await parts.first_model()
        yield
        parts.stop()

    async def catalogue_is_whole() -> None:
        parts.tail.require_ready()

    app = FastAPI(
        title="Millstream", version="1", description=DESCRIPTION, lifespan=lifespan,
        redirect_slashes=False,  # an id may end in a slash: a redirect would name another product
    )  # fmt: skip
    for group in (recommendations, search, items, bulk_items):
        app.include_router(group.routes(parts), dependencies=[Depends(catalogue_is_whole)])
    for group in (events, pictures, embeddings, users, traces, freshness, health):
        app.include_router(group.routes(parts))
    app.add_middleware(BodyLimit, max_bytes=parts.settings.body_max_bytes)
    app.add_middleware(RequestMetrics)
    problems.install(app)
    app.include_router(page.routes())
    return app
