"""The limit on a request's body, by its declared length and by what really arrives; plain ASGI, nothing is buffered."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.problems import BodyTooLarge, problem


class BodyLimit:
    """Answers 413 to a body above `max_bytes`.

    Args:
        app: The application behind.
        max_bytes: Largest body taken.
    """

    def __init__(self, app: ASGIApp, max_bytes: int):
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0").decode("latin-1")
        if declared.isdigit() and int(declared) > self._max_bytes:
            error = BodyTooLarge(declared, self._max_bytes)
            await problem(413, "body_too_large", error.detail)(scope, receive, send)
            return
        arrived = 0

        async def counted() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            if arrived > self._max_bytes:
                raise BodyTooLarge(f"more than {self._max_bytes}", self._max_bytes)
            return message

        await self._app(scope, counted, send)
