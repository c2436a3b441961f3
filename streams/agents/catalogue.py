"""The catalogue agent: items to content vectors in the vector index and on the topic `item-vectors`.

The protocol of a batch: 1. decode, dead-letter, keep the newest change of each item; 2. have the vectors computed;
3. write the index, and take the feature rows of what was deleted away; 4. publish the vectors, and tombstones for what
was deleted, and wait; 5. the lane counts the batch as done. All are upserts, so a batch that comes again changes
nothing. While the encoders or a store are away the lane tries again.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
from pydantic import ValidationError

from contracts.bounds import MOST_TEXT_AT_ONCE
from contracts.clock import Clock
from contracts.errors import BadInput, EmbeddingUnavailable, MillstreamError
from contracts.events import ItemDeleted, ItemUpserted
from contracts.ids import ItemId
from contracts.ports import EventLog, LoggedMessage, VectorIndex, Vectors
from contracts.requests import EmbeddingAnswer, EmbeddingRequest
from contracts.rows import ItemVectors
from contracts.topics import ITEM_FEATURES, ITEM_VECTORS
from contracts.vector_collections import CONTENT_PICTURE, CONTENT_TEXT
from contracts.vectors import vector_from_base64
from contracts.wire import decode_catalogue_event
from streams.metrics import StreamMetrics
from streams.publishing import Outbox

log = logging.getLogger(__name__)

BATCH_LIMIT = 64
REQUEST_TIMEOUT_S = 60.0
RETRIED_STATUSES = frozenset({404, 408, 425, 429})
"""Client errors that pass: the gateway is starting (404) or busy. All of 5xx are retried too."""


@dataclass(frozen=True)
class Content:
    """The vectors of one item as the encoders gave them: base64 text, None where there is none."""

    text: str
    picture: str | None


class CatalogueAgent:
    """The work of the catalogue agent's lanes.

    Args:
        log: Takes vectors, tombstones and dead letters.
        index: The vector index; used by one thread at a time.
        encoders: An HTTP client whose base URL is the gateway's.
        metrics: Counts.
        clock: Now.
        forget: Takes the feature rows of deleted items away; raises Unavailable. Called by one thread.
    """

    def __init__(
        self,
        *,
        log: EventLog,
        index: VectorIndex,
        encoders: httpx.AsyncClient,
        metrics: StreamMetrics,
        clock: Clock,
        forget: Callable[[Sequence[ItemId]], None] = lambda _: None,
    ):
        self._log = log
        self._index = index
        self._encoders = encoders
        self._metrics = metrics
        self._clock = clock
        self._forget = forget
        # One thread: neither the index's client nor a Feast store is shared by threads.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="catalogue")
        self._dimensions: dict[str, int] = {}

    async def process(self, partition: int, messages: Sequence[LoggedMessage]) -> None:
        """One batch, steps 1 to 4. Raises Unavailable when the encoders, the index or the log are away."""
        outbox = Outbox(self._log, self._metrics)
        newest: dict[ItemId, ItemUpserted | ItemDeleted] = {}
        now = self._clock()
        for message in messages:
            try:
                event = decode_catalogue_event(message.value, message.judged_at(now))
            except BadInput as error:
                outbox.refuse(message, error, now)
                continue
            newest[_item_id(event)] = event
        upserted = [event for event in newest.values() if isinstance(event, ItemUpserted)]
        deleted = [event.item_id for event in newest.values() if isinstance(event, ItemDeleted)]
        contents, encoders = await self._embedded(upserted)
        await asyncio.get_running_loop().run_in_executor(self._thread, self._write_stores, contents, deleted)
        for event in upserted:
            content = contents[event.item.item_id]
            outbox.add(
                ITEM_VECTORS,
                event.item.item_id,
                ItemVectors(
                    item_id=event.item.item_id,
                    at=event.at,
                    text=content.text,
                    picture=content.picture,
                    text_encoder=encoders[0],
                    picture_encoder=encoders[1],
                ),
            )
        for item_id in deleted:
            outbox.add(ITEM_VECTORS, item_id, None)
            outbox.add(ITEM_FEATURES, item_id, None)
        await outbox.send()
        self._metrics.items_embedded.inc(len(upserted))

    async def refuse(self, message: LoggedMessage, error: Exception) -> None:
        """Dead-letters a message that breaks a batch. Raises LogUnavailable."""
        outbox = Outbox(self._log, self._metrics)
        outbox.refuse(message, error, self._clock())
        await outbox.send()

    async def _embedded(self, events: Sequence[ItemUpserted]) -> tuple[dict[ItemId, Content], tuple[str, str]]:
        contents: dict[ItemId, Content] = {}
        encoders = ("", "")
        for part in in_requests(events):
            found, by = await self._of_request(part)
            if contents and by != encoders:
                raise EmbeddingUnavailable(f"found encoders {encoders}, then {by}; expected the same for a batch")
            contents |= found
            encoders = by
        return contents, encoders

    async def _of_request(self, events: Sequence[ItemUpserted]) -> tuple[dict[ItemId, Content], tuple[str, str]]:
        pictured = [(event.item.item_id, event.item.picture) for event in events if event.item.picture is not None]
        request = EmbeddingRequest(
            texts=[event.item.text() for event in events], pictures=[picture for _, picture in pictured]
        )
        answer = await self._asked(request)
        if len(answer.texts) != len(request.texts) or len(answer.pictures) != len(request.pictures):
            raise EmbeddingUnavailable(
                f"found {len(answer.texts)} text and {len(answer.pictures)} picture vectors; expected "
                f"{len(request.texts)} and {len(request.pictures)}; check the embedding service's version"
            )
        pictures = {item_id: vector for (item_id, _), vector in zip(pictured, answer.pictures, strict=True)}
        contents = {
            event.item.item_id: Content(text, pictures.get(event.item.item_id))
            for event, text in zip(events, answer.texts, strict=True)
        }
        return contents, (answer.text_encoder, answer.picture_encoder)

    async def _asked(self, request: EmbeddingRequest) -> EmbeddingAnswer:
        try:
            response = await self._encoders.post(
                "/v1/embeddings",
                content=request.model_dump_json(),
                headers={"content-type": "application/json"},
                timeout=REQUEST_TIMEOUT_S,
            )
        except httpx.HTTPError as error:
            raise EmbeddingUnavailable(
                f"found {type(error).__name__} ({error}) from {self._encoders.base_url}v1/embeddings; expected "
                "vectors; is the gateway up?"
            ) from error
        if response.status_code >= 500 or response.status_code in RETRIED_STATUSES:
            raise EmbeddingUnavailable(
                f"found status {response.status_code} from {response.url}; expected 200; the encoders start or are busy"
            )
        if response.status_code != 200:
            raise MillstreamError(
                f"found status {response.status_code} from {response.url}: {response.text[:300]}; expected 200"
            )
        try:
            return EmbeddingAnswer.model_validate_json(response.content)
        except ValidationError as error:
            raise EmbeddingUnavailable(
                f"found an answer of {response.url} that is no EmbeddingAnswer ({error.error_count()} wrong fields); "
                "check that gateway and streams are of one version"
            ) from error

    def _write_stores(self, contents: Mapping[ItemId, Content], deleted: Sequence[ItemId]) -> None:
        texts = {item_id: vector_from_base64(content.text) for item_id, content in contents.items()}
        pictures = {
            item_id: vector_from_base64(content.picture)
            for item_id, content in contents.items()
            if content.picture is not None
        }
        self._upsert(CONTENT_TEXT, texts)
        self._upsert(CONTENT_PICTURE, pictures)
        without_picture = [item_id for item_id in contents if item_id not in pictures]
        self._delete(CONTENT_PICTURE, [*without_picture, *deleted])
        self._delete(CONTENT_TEXT, deleted)
        if deleted:
            self._forget(deleted)

    def _upsert(self, collection: str, vectors: Mapping[ItemId, Vectors]) -> None:
        if not vectors:
            return
        dimension = len(next(iter(vectors.values())))
        if self._dimensions.get(collection) != dimension:
            self._index.ensure(collection, dimension)
            self._dimensions[collection] = dimension
        try:
            self._index.upsert(collection, vectors)
        except MillstreamError:
            self._dimensions.pop(collection, None)
            raise

    def _delete(self, collection: str, item_ids: Sequence[ItemId]) -> None:
        if item_ids:
            self._index.delete(collection, item_ids)


def _item_id(event: ItemUpserted | ItemDeleted) -> ItemId:
    return event.item.item_id if isinstance(event, ItemUpserted) else event.item_id


def in_requests(events: Sequence[ItemUpserted]) -> Iterator[list[ItemUpserted]]:
    """The events in as few parts as the encoders take at once, in their order."""
    part: list[ItemUpserted] = []
    characters = 0
    for event in events:
        length = len(event.item.text())
        if part and characters + length > MOST_TEXT_AT_ONCE:
            yield part
            part, characters = [], 0
        part.append(event)
        characters += length
    if part:
        yield part
