"""`POST /v1/embeddings`: the content vectors of texts and stored pictures; the catalogue agent asks here."""

import asyncio

from fastapi import APIRouter

from contracts.ids import PictureKey
from contracts.requests import EmbeddingAnswer, EmbeddingRequest
from contracts.vectors import vector_to_base64
from services.gateway.parts import GatewayParts
from services.gateway.problems import told


def routes(parts: GatewayParts) -> APIRouter:
    """The route of embeddings."""
    router = APIRouter(tags=["embeddings"])

    @router.post("/v1/embeddings", responses=told(413, 422, 503))
    async def post_embeddings(request: EmbeddingRequest) -> EmbeddingAnswer:
        """Vectors in the order asked; None for a picture that is not stored or not readable."""
        loop = asyncio.get_running_loop()
        pictures = await asyncio.gather(
            *(loop.run_in_executor(parts.picture_calls, _bytes_of, parts, key) for key in request.pictures)
        )
        # An empty picture is one that no decoder reads: its vector is None.
        vectors = await parts.adapters.embedder.encode(request.texts, pictures)
        return EmbeddingAnswer(
            text_encoder=parts.settings.text_encoder,
            picture_encoder=parts.settings.picture_encoder,
            texts=[vector_to_base64(vector) for vector in vectors.texts],
            pictures=[None if vector is None else vector_to_base64(vector) for vector in vectors.pictures],
        )

    return router


def _bytes_of(parts: GatewayParts, key: PictureKey) -> bytes:
    return parts.adapters.pictures.get(key) or b""
