"""Counts and times every request by its route's template, so that ids never become labels. Plain ASGI."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services import metrics


class RequestMetrics:
    """Observes requests once their answer has begun and ended."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path_format", None) or "(none)"
            metrics.REQUESTS.labels(route=route, method=scope["method"], status=str(status)).inc()
            metrics.REQUEST_SECONDS.labels(route=route).observe(time.perf_counter() - started)
