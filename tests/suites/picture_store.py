"""What every picture store does."""

import hashlib
import io

import pytest
from PIL import Image

from contracts.errors import BadPicture
from contracts.ids import PictureKey
from contracts.ports import PictureStore


def picture(form: str = "PNG", colour: str = "teal") -> bytes:
    """A small picture's bytes."""
    file = io.BytesIO()
    Image.new("RGB", (32, 24), colour).save(file, form)
    return file.getvalue()


class PictureStoreSuite:
    """Subclasses give the fixture `store`, which takes pictures of at most 100,000 bytes."""

    @pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF"])
    def test_a_picture_comes_back_by_the_hash_of_its_bytes(self, store: PictureStore, form: str) -> None:
        key = store.put(picture(form))
        assert key == hashlib.sha256(picture(form)).hexdigest()
        assert store.get(key) == picture(form)

    def test_the_same_picture_twice_has_one_key(self, store: PictureStore) -> None:
        assert store.put(picture()) == store.put(picture())
        assert store.put(picture(colour="red")) != store.put(picture())

    def test_an_unknown_key_is_none(self, store: PictureStore) -> None:
        assert store.get(PictureKey("0" * 64)) is None
        assert store.get(PictureKey("../../etc/passwd")) is None

    @pytest.mark.parametrize(
        "broken",
        [b"", b"no picture", b"<svg/>", picture()[: len(picture()) // 2], picture("JPEG")[:200], picture("BMP")],
        ids=["empty", "text", "svg", "half a PNG", "half a JPEG", "BMP"],
    )
    def test_bytes_that_are_no_picture_are_refused(self, store: PictureStore, broken: bytes) -> None:
        with pytest.raises(BadPicture, match="expected"):
            store.put(broken)

    def test_a_picture_too_large_is_refused_with_both_sizes(self, store: PictureStore) -> None:
        with pytest.raises(BadPicture, match=r"found a picture of 100001 bytes; expected at most 100000"):
            store.put(b"x" * 100_001)
