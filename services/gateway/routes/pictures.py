"""`GET /v1/pictures/{key}`: the items' pictures. A key is the hash of the bytes, so caches may keep them for ever."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Response

from contracts.ids import PictureKey
from services.gateway.parts import GatewayParts
from services.gateway.problems import NotThere, told

_MEDIA_TYPES = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif", b"RIFF": "image/webp"}


def routes(parts: GatewayParts) -> APIRouter:
    """The route of pictures."""
    router = APIRouter(tags=["catalogue"])

    @router.get("/v1/pictures/{key}", response_class=Response, responses=told(404))
    async def get_picture(key: Annotated[str, Path(pattern="^[0-9a-f]{64}$")]) -> Response:
        """The picture's bytes."""
        loop = asyncio.get_running_loop()
        picture = await loop.run_in_executor(parts.picture_calls, parts.adapters.pictures.get, PictureKey(key))
        if picture is None:
            raise NotThere(f"found no picture {key}; expected the key of a picture in the catalogue")
        return Response(
            picture,
            media_type=media_type(picture),
            headers={
                "cache-control": "public, max-age=31536000, immutable",
                "etag": f'"{key}"',
                "x-content-type-options": "nosniff",
            },
        )

    return router


def media_type(picture: bytes) -> str:
    """The media type that the first bytes tell."""
    return next((name for start, name in _MEDIA_TYPES.items() if picture.startswith(start)), "application/octet-stream")
