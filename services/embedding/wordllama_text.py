"""English text to 256 numbers: the mean of WordLlama's token vectors, whose weights come inside its package."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import wordllama

from contracts.ports import Vectors


class WordLlamaText:
    """Implements `TextEncoder` with the package's own weights; nothing is downloaded."""

    dimension = 256

    def __init__(self) -> None:
        package = Path(wordllama.__file__).parent
        self._model = wordllama.WordLlama.load(cache_dir=package, dim=self.dimension, disable_download=True)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(N, 256) float32 of unit length."""
        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        vectors = np.nan_to_num(np.asarray(self._model.embed(list(texts), norm=False), np.float32))  # (N, D)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)  # (N, 1)
        unit: Vectors = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
        return unit
