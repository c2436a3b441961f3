"""Pictures by content, as files: the port `PictureStore`.

The key is the SHA-256 of the bytes, so a picture is written once and a file never changes.
"""

import hashlib
import os
import re
import secrets
from pathlib import Path

from contracts.errors import BadPicture, PicturesUnavailable
from contracts.ids import PictureKey
from feature_repo.picture_decoding import CONTENT_TYPES, decoded

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
            PicturesUnavailable: the disk does not take it; nothing of it is left there.
        """
        verify(picture, self._max_bytes)
        key = PictureKey(hashlib.sha256(picture).hexdigest())
        path = self._path(key)
        try:
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                _write(path, picture)
        except OSError as error:
            raise PicturesUnavailable(
                f"found {error.strerror or error} in {self._directory}; expected room for {len(picture)} bytes; free "
                "space and send it again"
            ) from error
        return key

    def get(self, key: PictureKey) -> bytes | None:
        """The bytes; None when the key is not there or is no SHA-256 in lower-case hexadecimal.

        Raises:
            PicturesUnavailable: the disk does not give it.
        """
        if not _KEY.fullmatch(key):
            return None
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PicturesUnavailable(
                f"found {error.strerror or error} in {self._directory}; expected picture {key}; check the disk"
            ) from error

    def _path(self, key: PictureKey) -> Path:
        return self._directory / key[:2] / key


def _write(path: Path, picture: bytes) -> None:
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with partial.open("wb") as file:
            file.write(picture)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def verify(picture: bytes, max_bytes: int) -> str:
    """The content type of a picture that decodes.

    Raises:
        BadPicture: too large, or no PNG, JPEG, WebP or GIF that decodes.
    """
    if len(picture) > max_bytes:
        raise BadPicture(f"found a picture of {len(picture)} bytes; expected at most {max_bytes}: send a smaller one")
    return CONTENT_TYPES[decoded(picture)[1]]


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
