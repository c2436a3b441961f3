"""Both encoders with the cache of pictures before them: the port `Embedder`. For one thread at a time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from contracts.ports import ContentVectors, Vectors
from contracts.settings import Settings
from services.embedding.registry import PictureEncoder, TextEncoder, picture_encoder, text_encoder
from services.embedding.vector_cache import VectorCache, content_key


class Encoders:
    """Implements `contracts.ports.Embedder`.

    Args:
        text: Encoder of texts.
        picture: Encoder of pictures.
        cache: Vectors of the pictures seen so far.
    """

    def __init__(self, text: TextEncoder, picture: PictureEncoder, cache: VectorCache):
        self._text = text
        self._picture = picture
        self._cache = cache

    @classmethod
    def load(cls, settings: Settings) -> Self:
        """The encoders that the settings name."""
        cache_dir: Path = settings.cache_dir
        return cls(
            text_encoder(settings.text_encoder, cache_dir),
            picture_encoder(settings.picture_encoder, cache_dir),
            VectorCache(cache_dir / "vectors", settings.picture_encoder),
        )

    def encode(self, texts: Sequence[str], pictures: Sequence[bytes]) -> ContentVectors:
        """Vectors in the order given; None for an unreadable picture."""
        return ContentVectors(self._text.encode(texts), self._pictures(pictures))

    def _pictures(self, pictures: Sequence[bytes]) -> list[Vectors | None]:
        keys = [content_key(picture) for picture in pictures]
        vectors: dict[bytes, Vectors] = self._cache.get(list(dict.fromkeys(keys)))
        unknown = {key: picture for key, picture in zip(keys, pictures, strict=True) if key not in vectors}
        if unknown:
            encoded = self._picture.encode(list(unknown.values()))
            new = {key: vector for key, vector in zip(unknown, encoded, strict=True) if vector is not None}
            self._cache.put(new)
            vectors |= new
        return [vectors.get(key) for key in keys]
