"""The deployment `Embedding` as the gateway calls it: failures of the hop become `EmbeddingUnavailable`."""

import asyncio
from typing import Any

from contracts.errors import EmbeddingUnavailable
from contracts.ports import ContentVectors

TIMEOUT_S = 30.0
"""A batch of a new catalogue's pictures takes seconds; a search waits less, by its own deadline."""


class EmbeddingHandle:
    """Implements `AsyncEmbedder` over a Ray Serve handle.

    Args:
        handle: Handle of the deployment.
        timeout_s: Longest wait for one call.
    """

    def __init__(self, handle: Any, timeout_s: float = TIMEOUT_S):
        self._handle = handle
        self._timeout_s = timeout_s

    async def encode(self, texts: list[str], pictures: list[bytes]) -> ContentVectors:
        """Vectors in the order given. Raises EmbeddingUnavailable."""
        try:
            async with asyncio.timeout(self._timeout_s):
                vectors: ContentVectors = await self._handle.encode.remote(texts, pictures)
        except Exception as error:
            raise EmbeddingUnavailable(
                f"found no answer from the encoders ({error!r}); expected vectors; ask again in a moment"
            ) from error
        return vectors
