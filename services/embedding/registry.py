"""The encoders by name: what `settings.text_encoder` and `settings.picture_encoder` may be.

A new encoder is one class with one of the two protocols and one line here; everything else goes by its name.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from contracts.errors import StackError
from contracts.ports import Vectors


class TextEncoder(Protocol):
    """Texts to vectors."""

    dimension: int

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(N, D) float32, each of unit length; a text without a known word is the zero vector."""
        ...


class PictureEncoder(Protocol):
    """Pictures to vectors."""

    dimension: int

    def encode(self, pictures: Sequence[bytes]) -> list[Vectors | None]:
        """(D,) float32 of unit length for each; None for bytes that no decoder reads."""
        ...


def _wordllama(cache_dir: Path) -> TextEncoder:
    from services.embedding.wordllama_text import WordLlamaText

    return WordLlamaText()


def _efficientnet(cache_dir: Path) -> PictureEncoder:
    from services.embedding.efficientnet_picture import EfficientNetPicture

    return EfficientNetPicture(cache_dir)


TEXT_ENCODERS: dict[str, Callable[[Path], TextEncoder]] = {"wordllama": _wordllama}
PICTURE_ENCODERS: dict[str, Callable[[Path], PictureEncoder]] = {"efficientnet-lite0": _efficientnet}


def text_encoder(name: str, cache_dir: Path) -> TextEncoder:
    """The text encoder of that name, loaded. Raises StackError for an unknown name."""
    if name not in TEXT_ENCODERS:
        raise StackError(f"found text_encoder={name!r}; expected one of {', '.join(sorted(TEXT_ENCODERS))}")
    return TEXT_ENCODERS[name](cache_dir)


def picture_encoder(name: str, cache_dir: Path) -> PictureEncoder:
    """The picture encoder of that name, loaded. Raises StackError for an unknown name."""
    if name not in PICTURE_ENCODERS:
        raise StackError(f"found picture_encoder={name!r}; expected one of {', '.join(sorted(PICTURE_ENCODERS))}")
    return PICTURE_ENCODERS[name](cache_dir)
