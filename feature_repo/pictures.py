"""Pictures by content, as files: the port `PictureStore`.

The key is the SHA-256 of the bytes, so a picture is written once and a file never changes.
"""

import hashlib
import io
import os
import re
import secrets
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from contracts.errors import BadPicture
from contracts.ids import PictureKey

CONTENT_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif"}
MAX_PIXELS = 50_000_000
"""A picture of more pixels is refused before it is decoded: a small file may unfold to gigabytes."""

_KEY = re.compile(r"[0-9a-f]{64}")


class FilePictureStore:
    """Implements `contracts.ports.PictureStore` in a directory, two levels deep; safe between threads and processes.

    Args:
        directory: Made at the first `put`.
        max_bytes: A larger picture is refused.
    """

    def __init__(self, directory: Path, max_bytes: int):
        self._directory = directory
        self._max_bytes = max_bytes

    def put(self, picture: bytes) -> PictureKey:
        """Keeps the bytes and returns their key.

        Raises:
            BadPicture: too large, or no PNG, JPEG, WebP or GIF that decodes.
        """
        verify(picture, self._max_bytes)
        key = PictureKey(hashlib.sha256(picture).hexdigest())
        path = self._path(key)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f"{key}.{secrets.token_hex(4)}.partial")
            with partial.open("wb") as file:
                file.write(picture)
                file.flush()
                os.fsync(file.fileno())
            partial.rename(path)
        return key

    def get(self, key: PictureKey) -> bytes | None:
        """The bytes; None when the key is not there or is no SHA-256 in lower-case hexadecimal."""
        if not _KEY.fullmatch(key):
            return None
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            return None

    def _path(self, key: PictureKey) -> Path:
        return self._directory / key[:2] / key


def verify(picture: bytes, max_bytes: int) -> str:
    """The content type of a picture that decodes.

    Raises:
        BadPicture: too large, or no PNG, JPEG, WebP or GIF that decodes.
    """
    if len(picture) > max_bytes:
        raise BadPicture(f"found a picture of {len(picture)} bytes; expected at most {max_bytes}: send a smaller one")
    try:
        with Image.open(io.BytesIO(picture), formats=tuple(CONTENT_TYPES)) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise BadPicture(
                    f"found {width} x {height} pixels; expected at most {MAX_PIXELS} in all: scale it down"
                )
            image.load()
            return CONTENT_TYPES[str(image.format)]
    except UnidentifiedImageError as error:
        raise BadPicture(
            f"found {len(picture)} bytes beginning {picture[:8]!r}; expected a PNG, JPEG, WebP or GIF picture"
        ) from error
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise BadPicture(
            f"found a picture that does not decode ({error}); expected a whole one: send it again"
        ) from error


def content_type(picture: bytes) -> str:
    """The HTTP content type by the first bytes; `application/octet-stream` when they are of no picture we keep."""
    if picture.startswith(b"\x89PNG\r\n\x1a\n"):
        return CONTENT_TYPES["PNG"]
    if picture.startswith(b"\xff\xd8\xff"):
        return CONTENT_TYPES["JPEG"]
    if picture.startswith((b"GIF87a", b"GIF89a")):
        return CONTENT_TYPES["GIF"]
    if picture[:4] == b"RIFF" and picture[8:12] == b"WEBP":
        return CONTENT_TYPES["WEBP"]
    return "application/octet-stream"
