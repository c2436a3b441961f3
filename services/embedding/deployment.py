"""The deployment `Embedding`: concurrent calls become one batch, encoded in a thread beside the event loop."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate, pairwise

from ray import serve

from contracts.ports import ContentVectors
from contracts.settings import Settings
from services import replica_log
from services.embedding.encoders import Encoders

MAX_CALLS = 16
WAIT_S = 0.002


@dataclass(frozen=True)
class Content:
    """What one call wants encoded."""

    texts: list[str]
    pictures: list[bytes]


class Embedding:
    """Encodes texts and pictures.

    Args:
        settings: Which encoders, and where their cache is.
    """

    def __init__(self, settings: Settings):
        replica_log.write_at_once()
        self._encoders = Encoders.load(settings)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="encoders")

    @serve.batch(max_batch_size=MAX_CALLS, batch_wait_timeout_s=WAIT_S)  # type: ignore[untyped-decorator]
    async def _batch(self, calls: list[Content]) -> list[ContentVectors]:
        texts = [text for call in calls for text in call.texts]
        pictures = [picture for call in calls for picture in call.pictures]
        encoded = await asyncio.get_running_loop().run_in_executor(self._thread, self._encoders.encode, texts, pictures)
        text_ends = accumulate((len(call.texts) for call in calls), initial=0)
        picture_ends = accumulate((len(call.pictures) for call in calls), initial=0)
        return [
            ContentVectors(encoded.texts[text_from:text_to], encoded.pictures[picture_from:picture_to])
            for (text_from, text_to), (picture_from, picture_to) in zip(
                pairwise(text_ends), pairwise(picture_ends), strict=True
            )
        ]

    async def encode(self, texts: list[str], pictures: list[bytes]) -> ContentVectors:
        """Called through the deployment's handle; batched with the calls beside it."""
        encoded: ContentVectors = await self._batch(Content(texts, pictures))
        return encoded
