"""The shop page: each file of `gateway/page/` at its own path, `index.html` at `/`.

A mounted static folder at `/` would swallow every unknown path and wrong method of the API; routes of their own keep
those 404 and 405.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

PAGE = Path(__file__).parent.parent / "page"

_HEADERS = {"cache-control": "no-cache", "x-content-type-options": "nosniff"}


def routes(page: Path = PAGE) -> APIRouter:
    """One route a file that is there when the replica starts."""
    router = APIRouter(include_in_schema=False)
    for file in sorted(page.rglob("*")):
        if file.is_file():
            path = file.relative_to(page).as_posix()
            router.add_api_route("/" if path == "index.html" else f"/{path}", _serving(file), methods=["GET", "HEAD"])
    return router


def _serving(file: Path) -> Callable[[], Awaitable[FileResponse]]:
    async def serve() -> FileResponse:
        return FileResponse(file, headers=_HEADERS)

    return serve
