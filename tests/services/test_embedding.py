"""The encoders of the default settings, really run, and their cache."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from contracts.errors import StackError
from contracts.ports import Vectors
from services.embedding.encoders import Encoders
from services.embedding.registry import picture_encoder, text_encoder
from services.embedding.vector_cache import VectorCache


def picture(colour: str, kind: str = "PNG") -> bytes:
    written = io.BytesIO()
    image = Image.new("RGB", (64, 48), "white")
    ImageDraw.Draw(image).ellipse((10, 5, 50, 45), fill=colour)
    image.save(written, kind)
    return written.getvalue()


class CountingPictures:
    dimension = 2

    def __init__(self) -> None:
        self.encoded = 0

    def encode(self, pictures: list[bytes]) -> list[Vectors | None]:
        self.encoded += len(pictures)
        return [None if each == b"bad" else np.array([1, 0], np.float32) for each in pictures]


def test_words_of_one_meaning_are_nearer_than_others_and_no_words_are_zero(tmp_path: Path) -> None:
    vectors = text_encoder("wordllama", tmp_path).encode(["red wine", "a bottle of merlot", "dog food", ""])
    assert vectors.shape == (4, 256)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    assert np.allclose(np.linalg.norm(vectors, axis=1), [1, 1, 1, 0], atol=1e-6)


def test_pictures_alike_are_nearer_and_unreadable_ones_are_none(tmp_path: Path) -> None:
    encoder = picture_encoder("efficientnet-lite0", tmp_path)
    red, also_red, blue, none, empty = encoder.encode(
        [picture("red"), picture("red", "JPEG"), picture("blue"), b"no picture", b""]
    )
    assert red.shape == (1280,)
    assert red @ also_red > red @ blue
    assert none is None
    assert empty is None
    assert next((tmp_path / "encoders").iterdir()).suffix == ".onnx"


def test_a_picture_is_encoded_once_even_after_a_restart(tmp_path: Path) -> None:
    counting = CountingPictures()
    for _ in range(2):
        cache = VectorCache(tmp_path, "counting")
        encoders = Encoders(text_encoder("wordllama", tmp_path), counting, cache)
        vectors = encoders.encode([], [b"one", b"two", b"one"])
        assert [vector is not None for vector in vectors.pictures] == [True, True, True]
        cache.close()
    assert counting.encoded == 2


def test_an_unreadable_picture_is_none_and_not_kept(tmp_path: Path) -> None:
    cache, counting = VectorCache(tmp_path, "counting"), CountingPictures()
    encoders = Encoders(text_encoder("wordllama", tmp_path), counting, cache)
    assert [encoders.encode([], [b"bad"]).pictures for _ in range(2)] == [[None], [None]]
    assert counting.encoded == 2
    cache.close()


def test_an_unknown_encoder_is_named_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="wordllama"):
        text_encoder("clip", tmp_path)
    with pytest.raises(StackError, match="efficientnet-lite0"):
        picture_encoder("clip", tmp_path)
