import json

import httpx
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from contracts.catalogue import Item
from contracts.errors import EmbeddingUnavailable, VectorsUnavailable
from contracts.events import ItemDeleted, ItemUpserted
from contracts.ids import EventId, ItemId, PictureKey
from contracts.ports import LoggedMessage
from contracts.requests import EmbeddingAnswer, EmbeddingRequest
from contracts.rows import ItemVectors
from contracts.topics import DEAD_LETTERS, ITEM_VECTORS, ITEMS
from contracts.vector_collections import CONTENT_PICTURE, CONTENT_TEXT
from contracts.vectors import vector_from_base64, vector_to_base64
from contracts.wire import decode, encode
from eventlog.memory import MemoryLog
from feature_repo.memory import MemoryVectorIndex
from streams.agents.catalogue import CatalogueAgent
from streams.metrics import StreamMetrics
from tests.streams.doubles import NOW
from tests.streams.shop import at

UNIT = np.array([0.6, 0.8], dtype=np.float32)


class Shop:
    """The agent over memory; the gateway is a function that a test can break."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        self.index = MemoryVectorIndex()
        self.status = 200
        self.asked: list[dict[str, list[str]]] = []
        self.agent = CatalogueAgent(
            log=self.log, index=self.index, metrics=StreamMetrics(CollectorRegistry()), clock=lambda: NOW,
            encoders=httpx.AsyncClient(base_url="http://gateway", transport=httpx.MockTransport(self.answer)),
        )  # fmt: skip

    def answer(self, request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        self.asked.append(asked)
        vector = vector_to_base64(UNIT)
        answer = EmbeddingAnswer(
            text_encoder="words", picture_encoder="pixels", texts=[vector for _ in asked["texts"]],
            pictures=[None if key == "broken" else vector for key in asked["pictures"]],
        )  # fmt: skip
        return httpx.Response(self.status, content=answer.model_dump_json())


def upserted(item: str, minutes: float, picture: str | None = None, title: str = "Tea") -> ItemUpserted:
    key = None if picture is None else PictureKey(picture)
    return ItemUpserted(
        event_id=EventId(f"up-{item}-{minutes}"), at=at(minutes),
        item=Item(item_id=ItemId(item), title=title, category="tea", picture=key),
    )  # fmt: skip


def logged(event: ItemUpserted | ItemDeleted, offset: int) -> LoggedMessage:
    return LoggedMessage(ITEMS.name, 0, offset, b"a", encode(event))


def deleted(item: str, minutes: float) -> ItemDeleted:
    return ItemDeleted(event_id=EventId(f"down-{item}"), at=at(minutes), item_id=ItemId(item))


async def test_an_item_becomes_searchable_and_its_vectors_are_published() -> None:
    shop = Shop()
    await shop.agent.process(0, [logged(upserted("a", 0, "pic"), 0), logged(upserted("b", 0), 1)])
    assert shop.asked == [{"texts": ["Tea tea", "Tea tea"], "pictures": ["pic"]}]
    assert (shop.index.count(CONTENT_TEXT), shop.index.count(CONTENT_PICTURE)) == (2, 1)
    published = {one.item_id: one for one in (decode(ItemVectors, m.value) for m in shop.log.messages(ITEM_VECTORS))}
    assert published["b"].picture is None
    assert (published["a"].text_encoder, published["a"].picture_encoder) == ("words", "pixels")
    np.testing.assert_allclose(vector_from_base64(published["a"].text or ""), UNIT, atol=1e-3)


async def test_only_the_newest_change_of_an_item_in_a_batch_is_embedded() -> None:
    shop = Shop()
    await shop.agent.process(0, [logged(upserted("a", 0, title="Old"), 0), logged(upserted("a", 1, title="New"), 1)])
    assert shop.asked[0]["texts"] == ["New tea"]


async def test_items_of_long_texts_are_asked_for_in_several_requests_none_of_which_is_refused() -> None:
    shop = Shop()
    long = [
        ItemUpserted(
            event_id=EventId(f"up-{number}"), at=at(number),
            item=Item(item_id=ItemId(f"i{number}"), title="t" * 500, description="d" * 10_000, category="c" * 200),
        )
        for number in range(25)
    ]  # fmt: skip
    await shop.agent.process(0, [logged(event, place) for place, event in enumerate(long)])
    assert len(shop.asked) > 1
    assert [EmbeddingRequest.model_validate(asked).texts for asked in shop.asked]
    assert sum(len(asked["texts"]) for asked in shop.asked) == len(shop.log.messages(ITEM_VECTORS)) == 25


async def test_a_deleted_item_leaves_the_index_and_a_tombstone() -> None:
    shop = Shop()
    await shop.agent.process(0, [logged(upserted("a", 0, "pic"), 0)])
    await shop.agent.process(0, [logged(deleted("a", 1), 1)])
    assert (shop.index.count(CONTENT_TEXT), shop.index.count(CONTENT_PICTURE)) == (0, 0)
    assert shop.log.messages(ITEM_VECTORS)[-1].value is None


async def test_an_item_that_loses_its_picture_loses_the_pictures_vector() -> None:
    shop = Shop()
    await shop.agent.process(0, [logged(upserted("a", 0, "pic"), 0)])
    await shop.agent.process(0, [logged(upserted("a", 1, "broken"), 1)])
    assert (shop.index.count(CONTENT_TEXT), shop.index.count(CONTENT_PICTURE)) == (1, 0)


@pytest.mark.parametrize("status", [404, 429, 500, 503])
async def test_while_the_encoders_are_away_the_batch_is_to_be_retried_and_nothing_is_published(status: int) -> None:
    shop = Shop()
    shop.status = status
    with pytest.raises(EmbeddingUnavailable):
        await shop.agent.process(0, [logged(upserted("a", 0), 0)])
    assert shop.log.messages(ITEM_VECTORS) == []


async def test_while_the_index_is_away_nothing_is_published() -> None:
    shop = Shop()
    shop.index.available = False
    with pytest.raises(VectorsUnavailable):
        await shop.agent.process(0, [logged(upserted("a", 0), 0)])
    assert shop.log.messages(ITEM_VECTORS) == []
    shop.index.available = True
    await shop.agent.process(0, [logged(upserted("a", 0), 0)])
    assert shop.index.count(CONTENT_TEXT) == 1


async def test_a_catalogue_message_that_cannot_be_read_is_dead_lettered() -> None:
    shop = Shop()
    await shop.agent.process(0, [LoggedMessage(ITEMS.name, 0, 0, b"a", b"[]"), logged(upserted("b", 0), 1)])
    assert len(shop.log.messages(DEAD_LETTERS)) == 1
    assert shop.index.count(CONTENT_TEXT) == 1
