"""The learner on in-memory adapters: a clock that a test moves, and words to feed it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import torch
from prometheus_client import CollectorRegistry

from contracts.clock import from_ms
from contracts.events import ItemUpserted
from contracts.examples import TrainingExample
from contracts.ids import EventId, ModelVersion
from contracts.rows import ItemVectors
from contracts.settings import Settings
from contracts.topics import FEEDBACK, ITEM_VECTORS, ITEMS, MODEL_VERSIONS
from contracts.vectors import vector_to_base64
from contracts.versions import PublishedVersion
from contracts.wire import decode, encode
from eventlog.memory import MemoryLog, MemoryTail
from eventlog.memory_group import MemoryGroup
from feature_repo.memory import MemoryVectorIndex
from feature_repo.model_store import ModelStore
from tests.builders import shop
from training.incremental.flow import LearnerFlow, Sources
from training.incremental.metrics import LearnerMetrics
from training.model.checkpoint import Checkpoint
from training.model.content import ItemContent
from training.model.features import ItemFacts
from training.publish import IndexedVectors, Shelves, publish
from training.snapshot import Snapshot

START = datetime(2026, 1, 1, tzinfo=UTC)
KEPT = tuple(shop.example(-1000 - place, f"i{place % 12}", (f"i{(place + 3) % 12}",)) for place in range(48))
"""What a batch version leaves for the learner."""

DATA_TO = from_ms(shop.START_MS) + timedelta(days=30)


class Loop:
    """The learner on in-memory adapters, with a clock that a test moves."""

    def __init__(self, directory: Path) -> None:
        self.now = START
        self.log, self.index, self.store = MemoryLog(), MemoryVectorIndex(), ModelStore(directory / "models")
        self.shelves = Shelves(self.store, self.index, self.log)
        self.feedback = MemoryGroup(self.log, [FEEDBACK])
        self.settings = Settings(state_dir=directory, learner_publish_every_s=3.0, learner_batch=8)
        self.restart()

    def restart(self) -> None:
        """Another process: nothing of the one before is left but what stores and log hold."""
        self.feedback = MemoryGroup(self.log, [FEEDBACK], self.feedback.committed)
        self.flow = LearnerFlow(
            self.settings,
            Sources(self.feedback, MemoryTail(self.log, [ITEMS, ITEM_VECTORS, MODEL_VERSIONS])),
            self.shelves,
            LearnerMetrics(CollectorRegistry()),
            lambda: self.now,
        )

    def put(self, content: ItemContent) -> None:
        item = content.item
        upserted = ItemUpserted(event_id=EventId(f"up-{item.item_id}"), at=self.now, item=item)
        self.log.publish(ITEMS, item.item_id, encode(upserted))
        vectors = ItemVectors(
            item_id=item.item_id,
            at=self.now,
            text=None if content.text is None else vector_to_base64(content.text),
            picture=None if content.picture is None else vector_to_base64(content.picture),
            text_encoder="t",
            picture_encoder="p",
        )
        self.log.publish(ITEM_VECTORS, item.item_id, encode(vectors))

    def archived(self, data_to: datetime) -> dict[int, int] | None:
        """By partition, the place after the last example up to a time; None while there is none at all."""
        messages = self.log.messages(FEEDBACK)
        places = dict.fromkeys(range(FEEDBACK.partitions), 0)
        for message in messages:
            if decode(TrainingExample, message.value).at <= data_to:
                places[message.partition] = message.offset + 1
        return places if messages else None

    def publish_batch(
        self, name: str, data_to: datetime = DATA_TO, feedback_to: dict[int, int] | None = None
    ) -> PublishedVersion:
        torch.manual_seed(0)
        table = shop.table(shop.contents())
        model = shop.model(table)
        facts = tuple(ItemFacts.of(table.item(item_id)) for item_id in table.vocabulary)
        made = Checkpoint(model, table.vocabulary, facts, Snapshot.of(model, table).vectors.numpy(), table.ids)
        version = PublishedVersion(
            version=ModelVersion(name), parent=None, origin="batch", created_at=self.now, data_from=None,
            data_to=data_to, examples=100, feedback_to=self.archived(data_to) if feedback_to is None else feedback_to,
        )  # fmt: skip
        publish(version, made, self.shelves, IndexedVectors(), kept=KEPT)
        return version

    def feed(self, *examples: TrainingExample) -> None:
        for example in examples:
            self.log.publish(FEEDBACK, example.user_id, encode(example))

    def run(self, turns: int = 3, seconds: float = 4.0) -> None:
        for _ in range(turns):
            self.flow.turn()
            self.now += timedelta(seconds=seconds)

    def versions(self) -> list[PublishedVersion]:
        return [decode(PublishedVersion, message.value) for message in self.log.messages(MODEL_VERSIONS)]
