"""What the learner knows from the compacted topics: items, their vectors, and the newest announced version. Pure."""

from dataclasses import dataclass, field
from datetime import datetime

from contracts.catalogue import Item
from contracts.errors import InvalidMessage
from contracts.events import ItemUpserted
from contracts.ids import ItemId, ModelVersion
from contracts.ports import LoggedMessage
from contracts.rows import ItemVectors
from contracts.topics import ITEM_VECTORS, ITEMS, MODEL_VERSIONS
from contracts.vectors import vector_from_base64
from contracts.versions import PublishedVersion
from contracts.wire import decode, decode_catalogue_event
from training.model.content import ItemContent


@dataclass
class Changes:
    """What happened since the last look."""

    described: set[ItemId] = field(default_factory=set)
    deleted: set[ItemId] = field(default_factory=set)


class Catalogue:
    """Folds messages of `items`, `item-vectors` and `model-versions`; `changes` tells what to do about them.

    Attributes:
        items: The catalogue.
        vectors: What the encoders gave of its items.
        announced: The version that was announced last, whatever its name: the log orders versions, no clock does.
        batch: The batch version that was announced last.
    """

    def __init__(self) -> None:
        self.items: dict[ItemId, Item] = {}
        self.vectors: dict[ItemId, ItemVectors] = {}
        self.announced: PublishedVersion | None = None
        self.batch: PublishedVersion | None = None
        self._changes = Changes()
        self._announcements: list[ModelVersion] = []

    def take(self, message: LoggedMessage, now: datetime) -> None:
        """Folds one message.

        Raises:
            BadInput: a message that cannot be decoded, for the dead-letter topic.
        """
        if message.topic == ITEMS.name:
            self._take_item(message, now)
        elif message.topic == ITEM_VECTORS.name:
            self._take_vectors(message)
        elif message.topic == MODEL_VERSIONS.name and message.value is not None:
            version = decode(PublishedVersion, message.value)
            if version.origin == "batch":
                self.batch = version
            self.announced = version
            self._announcements.append(version.version)

    def changes(self) -> Changes:
        """Items described or deleted since the last call."""
        changes, self._changes = self._changes, Changes()
        return changes

    def announcements(self) -> list[ModelVersion]:
        """Versions announced since the last call, in the order of the log."""
        announcements, self._announcements = self._announcements, []
        return announcements

    def content(self, item_id: ItemId) -> ItemContent:
        """An item with its vectors; those not computed yet are None. Raises InvalidMessage on vectors that are none."""
        vectors = self.vectors.get(item_id)
        try:
            text = vector_from_base64(vectors.text) if vectors is not None and vectors.text else None
            picture = vector_from_base64(vectors.picture) if vectors is not None and vectors.picture else None
        except ValueError as error:
            raise InvalidMessage(
                f"item {item_id}: found vectors that are no base64 of float16 ({error}); expected the encoders'"
            ) from error
        return ItemContent(self.items[item_id], text, picture)

    def _take_item(self, message: LoggedMessage, now: datetime) -> None:
        if message.value is None:
            if message.key is not None:
                self._delete(ItemId(message.key.decode()))
            return
        event = decode_catalogue_event(message.value, message.judged_at(now))
        if isinstance(event, ItemUpserted):
            self.items[event.item.item_id] = event.item
            self._changes.described.add(event.item.item_id)
            self._changes.deleted.discard(event.item.item_id)
        else:
            self._delete(event.item_id)

    def _take_vectors(self, message: LoggedMessage) -> None:
        if message.value is None:
            if message.key is not None:
                self.vectors.pop(ItemId(message.key.decode()), None)
            return
        vectors = decode(ItemVectors, message.value)
        self.vectors[vectors.item_id] = vectors
        if vectors.item_id in self.items:
            self._changes.described.add(vectors.item_id)

    def _delete(self, item_id: ItemId) -> None:
        self.items.pop(item_id, None)
        self._changes.described.discard(item_id)
        self._changes.deleted.add(item_id)
