"""The search path: encode -> find -> fuse and filter -> order for the user -> answer -> log.

Text and picture are encoded, their neighbours found in the vector index, words matched in memory, and the lists are
fused by reciprocal rank. For a known user the model's order is fused in as one more list, so that relevance still
leads. A search by text goes on with words alone while the encoders or the index are away; one by picture alone cannot.
"""

import asyncio
import base64

from contracts.errors import BadPicture, EmbeddingUnavailable, InvalidMessage, VectorsUnavailable
from contracts.events import Search
from contracts.ids import ItemId, ModelVersion
from contracts.ports import ContentVectors, Vectors
from contracts.requests import Answer, Degradation, SearchRequest, Source
from contracts.topics import EVENTS
from contracts.vector_collections import CONTENT_PICTURE, CONTENT_TEXT
from contracts.wire import encode
from services import metrics
from services.gateway import steps
from services.gateway.log_writer import Outgoing
from services.gateway.parts import GatewayParts
from services.gateway.run import Run
from services.ranking.ranker import Ranked
from services.retrieval.candidates import Candidate, Merged, Query
from services.retrieval.filters import Rules, keep
from services.retrieval.merge import RANK_OFFSET, merge

PERSONAL_WEIGHT = 0.5
"""Weight of the model's order beside the fused relevance."""

ENCODE_TIMEOUT_S = 5.0
"""A picture takes longer than a recommendation's deadline allows; a shopper who uploads one waits."""


async def search(parts: GatewayParts, request: SearchRequest) -> Answer:
    """Answers one search."""
    run = Run("search", parts.clock(), parts.settings.request_deadline_ms)
    steps.note_the_state_of_the_system(parts, run)
    picture = picture_bytes(request.picture_base64, parts.settings.picture_max_bytes)

    with run.stage("encode"):
        text_vector, picture_vector = await _encoded(parts, run, request.text, picture)

    with run.stage("find"):
        found = await _found(parts, run, request.text, text_vector, picture_vector)

    with run.stage("features"):
        user = await steps.user_features(parts, run, request.user_id, parts.settings.request_deadline_ms / 1000)
        query = steps.query_for(parts, run, user, (), None)

    with run.stage("merge"):
        rules = Rules(excluded=frozenset(request.exclude), in_stock_only=request.in_stock_only)
        kept, _ = keep(merge(found), rules, parts.view.item)
        kept = kept[: steps.RANKED_CANDIDATES]

    with run.stage("rank"):
        ranked, version = await _ordered(parts, run, query, kept)

    with run.stage("answer"):
        items = await steps.ranked_items(parts, query, ranked[: request.limit], request.explain)
        answer = steps.answer(run, items, version, user)

    with run.stage("log"):
        _log_search(parts, run, request)
        steps.log_impression(parts, run, request, answer, user)

    return steps.finished(parts, run, answer, user)


def picture_bytes(picture_base64: str | None, max_bytes: int) -> bytes | None:
    """The bytes of a picture that came as base64.

    Raises:
        InvalidMessage: it is no base64.
        BadPicture: it is larger than the limit.
    """
    if not picture_base64:
        return None
    try:
        picture = base64.b64decode(picture_base64.split("base64,")[-1], validate=True)
    except ValueError as error:
        raise InvalidMessage(
            f"field picture_base64: found text that is no base64 ({error}); expected a picture's bytes as base64"
        ) from error
    if len(picture) > max_bytes:
        raise BadPicture(f"found a picture of {len(picture)} bytes; expected at most {max_bytes}; send it smaller")
    return picture


async def _encoded(
    parts: GatewayParts, run: Run, text: str, picture: bytes | None
) -> tuple[Vectors | None, Vectors | None]:
    texts, pictures = [text] if text.strip() else [], [picture] if picture is not None else []
    try:
        async with asyncio.timeout(ENCODE_TIMEOUT_S):
            vectors: ContentVectors = await parts.adapters.embedder.encode(texts, pictures)
    except (TimeoutError, EmbeddingUnavailable) as error:
        if not texts:
            raise EmbeddingUnavailable(
                "found no answer from the encoders; expected the picture's vector; send the search again in a moment"
            ) from error
        run.miss([Degradation.EMBEDDING])
        return None, None
    picture_vector = vectors.pictures[0] if pictures else None
    if pictures and picture_vector is None:
        raise BadPicture("found bytes that no decoder reads as a picture; expected a JPEG, PNG, WebP or GIF")
    return (vectors.texts[0] if texts else None), picture_vector


async def _found(
    parts: GatewayParts, run: Run, text: str, text_vector: Vectors | None, picture_vector: Vectors | None
) -> steps.Proposed:
    limit = parts.settings.candidates_per_source
    words = parts.view.lexical.search(text, limit) if text.strip() else []
    asked = [
        (Source.TEXT, CONTENT_TEXT, text_vector),
        (Source.PICTURE, CONTENT_PICTURE, picture_vector),
    ]
    wanted = [(source, collection, vector) for source, collection, vector in asked if vector is not None]
    timeout_s = parts.settings.request_deadline_ms / 1000
    lists: steps.Proposed = [(Source.TEXT, words)]
    try:
        hits = await asyncio.gather(
            *(
                parts.vector_calls.call(timeout_s, parts.adapters.index.search, collection, vector, limit)
                for _, collection, vector in wanted
            )
        )
    except VectorsUnavailable:
        if not text.strip():
            raise
        run.miss([Degradation.VECTORS])
        hits = []
    lists += [
        (source, [Candidate(hit.item_id, hit.score) for hit in found])
        for (source, _, _), found in zip(wanted, hits, strict=False)
    ]
    for source, found in lists:
        metrics.CANDIDATES.labels(source=source.value).inc(len(found))
    return lists


async def _ordered(
    parts: GatewayParts, run: Run, query: Query, kept: list[Merged]
) -> tuple[list[Ranked], ModelVersion | None]:
    by_relevance = [Ranked(candidate, candidate.score) for candidate in kept]
    if query.user is None or not query.history.items or not kept:
        return by_relevance, None
    ranked, version = await steps.rank(parts, run, query, kept, parts.settings.request_deadline_ms / 1000)
    if version is None:
        return by_relevance, None
    personal: dict[ItemId, int] = {place.candidate.item_id: rank for rank, place in enumerate(ranked, start=1)}
    fused = [
        Ranked(
            candidate,
            1 / (RANK_OFFSET + rank) + PERSONAL_WEIGHT / (RANK_OFFSET + personal[candidate.item_id]),
        )
        for rank, candidate in enumerate(kept, start=1)
    ]
    return sorted(fused, key=lambda place: -place.score), version


def _log_search(parts: GatewayParts, run: Run, request: SearchRequest) -> None:
    if request.user_id is None:
        return
    event = Search(
        at=run.at,
        user_id=request.user_id,
        session_id=request.session_id,
        text=request.text,
        request_id=run.request_id,
    )
    if not parts.log.send(Outgoing(EVENTS, request.user_id, encode(event))):
        run.miss([Degradation.LOG])
