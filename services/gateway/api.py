"""The gateway as an ASGI application, without Ray: routes, limits, problem details, the page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from services.gateway import problems
from services.gateway.body_limit import BodyLimit
from services.gateway.parts import GatewayParts
from services.gateway.request_metrics import RequestMetrics
from services.gateway.routes import (
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


def create_api(parts: GatewayParts) -> FastAPI:
    """The application over its parts; the parts are started and stopped with it."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        parts.start()
        await parts.warm_up()
        yield
        parts.stop()

    app = FastAPI(title="Millstream", version="1", description=DESCRIPTION, lifespan=lifespan)
    for group in (recommendations, search, events, items, pictures, embeddings, users, traces, freshness, health):
        app.include_router(group.routes(parts))
    app.add_middleware(BodyLimit, max_bytes=parts.settings.body_max_bytes)
    app.add_middleware(RequestMetrics)
    problems.install(app)
    app.include_router(page.routes())
    return app
