"""A whole gateway over in-memory adapters: the clock, the model and the encoders are doubles that a test sets."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import httpx
import numpy as np

from contracts.catalogue import Item
from contracts.clock import to_ms
from contracts.errors import BadCheckpoint, EmbeddingUnavailable
from contracts.events import EventKind, ItemDeleted, ItemUpserted
from contracts.features import ItemFeatures, UserFeatures
from contracts.heartbeats import Heartbeat
from contracts.ids import EventId, ItemId, ModelVersion, UserId
from contracts.ports import ContentVectors, FeatureStore
from contracts.rows import ItemFeatureRow, ItemVectors
from contracts.settings import Settings
from contracts.topics import HEARTBEATS, ITEM_FEATURES, ITEM_VECTORS, ITEMS, MODEL_VERSIONS
from contracts.vector_collections import CONTENT_PICTURE, CONTENT_TEXT, model_items
from contracts.vectors import vector_to_base64
from contracts.versions import PublishedVersion
from contracts.wire import encode
from eventlog.memory import MemoryLog, MemoryTail
from feature_repo.memory import MemoryFeatureStore, MemoryPictureStore, MemoryVectorIndex
from services.gateway.api import create_api
from services.gateway.feed import FED_BY, NEWEST_OF
from services.gateway.parts import Adapters, build_parts

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DIMENSION = 8


class SetClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = NOON):
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def unit(*numbers: float, dimension: int = DIMENSION) -> np.ndarray:
    vector = np.zeros(dimension, np.float32)
    vector[: len(numbers)] = numbers
    return vector / np.linalg.norm(vector)


def version(
    name: str, parent: str | None = None, learned: tuple[str, ...] = (), at: datetime = NOON
) -> PublishedVersion:
    return PublishedVersion(
        version=ModelVersion(name), parent=parent and ModelVersion(parent), origin="incremental", created_at=at,
        data_from=None, data_to=None, examples=1, learned_event_ids=tuple(map(EventId, learned)),
    )  # fmt: skip


class FakeModel:
    """A model whose user vector is the last item's and whose score is the inner product."""

    dimension = DIMENSION

    def __init__(self, published: PublishedVersion, vectors: dict[str, np.ndarray], fail_ranking: bool = False):
        self.version = published
        self._vectors = {ItemId(name): vector for name, vector in vectors.items()}
        self.fail_ranking = fail_ranking

    @property
    def item_ids(self):
        return tuple(self._vectors)

    def user_vector(self, history, now_ms):
        known = [item_id for item_id in history.items if item_id in self._vectors]
        return self._vectors[known[-1]] if known else unit(1)

    def rank(self, history, user, candidates, item_features, now_ms):
        if self.fail_ranking:
            raise RuntimeError("the ranking head is out of order")
        query = self.user_vector(history, now_ms)
        return np.array([self._vectors.get(item_id, np.zeros(DIMENSION)) @ query for item_id in candidates], np.float32)

    def similar(self, item_id, candidates):
        return np.array([self._vectors[item_id] @ self._vectors[other] for other in candidates], np.float32)

    def with_items(self, items):
        added = {item_id: content.text[:DIMENSION] for item_id, content in items.items()}
        return FakeModel(self.version, {**self._vectors, **added}, self.fail_ranking)

    def item_vectors(self):
        return self._vectors


class FakeEmbedder:
    """Words of known meaning become vectors; a picture's first byte chooses one; `available` plays an outage."""

    def __init__(self) -> None:
        self.available = True

    async def encode(self, texts, pictures):
        if not self.available:
            raise EmbeddingUnavailable("found the encoders switched off; expected them available")
        known = {"wine": unit(1), "bread": unit(0, 1)}
        return ContentVectors(
            np.stack([known.get(text, unit(0, 0, 0, 1)) for text in texts]) if texts else np.zeros((0, DIMENSION)),
            [unit(1) if picture.startswith(b"\x89PNG") else None for picture in pictures],
        )


@dataclass
class Shop:
    """A gateway, its adapters, and words to feed it. Nothing runs in the background: `settle` applies the log."""

    settings: Settings = field(default_factory=lambda: Settings(request_deadline_ms=2000, publish_timeout_s=0.5))
    clock: SetClock = field(default_factory=SetClock)
    features: FeatureStore = field(default_factory=MemoryFeatureStore)

    def __post_init__(self) -> None:
        self.log = MemoryLog()
        self.index, self.pictures, self.embedder = MemoryVectorIndex(), MemoryPictureStore(), FakeEmbedder()
        self.models: dict[str, FakeModel] = {}
        self.parts = build_parts(self.settings, self._adapters(), self.clock)
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(create_api(self.parts), raise_app_exceptions=False), base_url="http://shop"
        )

    def _adapters(self) -> Adapters:
        return Adapters(
            self.log, MemoryTail(self.log, FED_BY, newest_of=NEWEST_OF), self.features, self.index, self.pictures,
            self.embedder, self._load,
        )  # fmt: skip

    def _load(self, name: ModelVersion) -> FakeModel:
        if name not in self.models:
            raise BadCheckpoint(f"found no version {name}; expected one")
        return self.models[name]

    def settle(self) -> None:
        """Applies what is in the log and loads what was announced."""
        self.parts.tail.step(0)
        self.parts.view.refresh()
        self.parts.loader.step()

    def close(self) -> None:
        self.parts.stop()

    def beat(self) -> None:
        for process in ("streams", "learner"):
            self.log.publish(HEARTBEATS, process, encode(Heartbeat(process=process, at=self.clock())))

    def put(self, item_id: str, **fields) -> None:
        item = Item(**{"item_id": item_id, "title": item_id.title(), "category": "food", **fields})
        self.log.publish(ITEMS, item_id, encode(ItemUpserted(at=self.clock(), item=item)))

    def delete(self, item_id: str) -> None:
        self.log.publish(ITEMS, item_id, encode(ItemDeleted(at=self.clock(), item_id=ItemId(item_id))))

    def item_features(self, item_id: str, **values) -> None:
        row = ItemFeatures(**{"last_event_ms": to_ms(self.clock()), **values})
        message = ItemFeatureRow(item_id=ItemId(item_id), at=self.clock(), values=row.to_values())
        self.log.publish(ITEM_FEATURES, item_id, encode(message))

    def content(self, item_id: str, text: np.ndarray, picture: np.ndarray | None = None) -> None:
        row = ItemVectors(
            item_id=ItemId(item_id), at=self.clock(), text=vector_to_base64(text),
            picture=None if picture is None else vector_to_base64(picture),
            text_encoder=self.settings.text_encoder, picture_encoder=self.settings.picture_encoder,
        )  # fmt: skip
        self.log.publish(ITEM_VECTORS, item_id, encode(row))
        self.index.ensure(CONTENT_TEXT, DIMENSION)
        self.index.upsert(CONTENT_TEXT, {ItemId(item_id): text})
        if picture is not None:
            self.index.ensure(CONTENT_PICTURE, DIMENSION)
            self.index.upsert(CONTENT_PICTURE, {ItemId(item_id): picture})

    def publish_model(self, model: FakeModel, indexed: bool = True) -> None:
        self.models[model.version.version] = model
        if indexed:
            collection = model_items(model.version.line)
            self.index.ensure(collection, DIMENSION)
            self.index.upsert(collection, model.item_vectors())
        self.log.publish(MODEL_VERSIONS, "fusion", encode(model.version))

    def user(self, user_id: str, *item_ids: str, kind: EventKind = EventKind.CLICK, **fields) -> None:
        now_ms = to_ms(self.clock())
        row = UserFeatures(
            recent_items=item_ids, recent_kinds=(kind.value,) * len(item_ids),
            recent_times_ms=(now_ms,) * len(item_ids), recent_event_ids=tuple(f"evt-{name}" for name in item_ids),
            event_count=len(item_ids), last_event_ms=now_ms,
        )  # fmt: skip
        self.features.write_users({UserId(user_id): (self.clock(), replace(row, **fields))})

    async def recommend(self, **request) -> dict:
        answer = await self.http.post("/v1/recommendations", json=request)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def drain(self, until: Callable[[], bool]) -> None:
        """Waits for the log writer's thread."""
        for _ in range(200):
            if until():
                return
            await asyncio.sleep(0.005)
        raise AssertionError("the log writer did not come to rest")


def names(answer: dict) -> list[str]:
    return [item["item_id"] for item in answer["items"]]
