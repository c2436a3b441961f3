"""What a replica keeps of items: of those in the catalogue everything, of others little."""

import tracemalloc

from contracts.ids import ItemId
from contracts.ports import VectorHit, Vectors
from contracts.requests import Source
from contracts.topics import ITEM_FEATURES
from eventlog.memory import MemoryTail
from services.gateway.feed import FED_BY, NEWEST_OF
from services.retrieval.candidates import Query
from services.retrieval.content import NEIGHBOURS
from services.retrieval.early_rows import KEPT
from tests.services.doubles import Shop, names, unit
from training.model.serving import History


def restarted(old: Shop) -> Shop:
    new = Shop()
    new.log = old.log
    new.parts.tail._tail = MemoryTail(old.log, FED_BY, newest_of=NEWEST_OF)
    new.settle()
    return new


def kept(shop: Shop) -> tuple[int, int, int]:
    """Items, feature rows of items, rows that wait for their item."""
    view = shop.parts.view
    return len(view), len(view._features), len(view._early_features)


async def test_a_late_touch_of_a_deleted_item_brings_its_features_back_neither_now_nor_after_a_restart(
    shop: Shop,
) -> None:
    shop.delete("soap")
    shop.item_features("soap", trend_score=9.0, co_visit_items=("wine",), co_visit_weights=(5.0,))
    shop.settle()
    for each in (shop, restarted(shop)):
        assert kept(each)[:2] == (4, 4)
        assert each.parts.view.features("soap") is None
        assert not each.parts.view.is_trending("soap")
        assert "soap" not in each.parts.view.followers("wine")


async def test_an_older_row_of_an_item_that_lands_behind_a_newer_one_is_passed_over(shop: Shop) -> None:
    shop.item_features("soap", trend_score=9.0)
    shop.item_features("early", trend_score=9.0)
    shop.clock.move(-60)
    shop.item_features("soap", trend_score=2.0)
    shop.item_features("early", trend_score=2.0)
    shop.clock.move(60)
    for each in (shop, restarted(shop)):
        each.settle()
        each.put("early")
        each.settle()
        assert [each.parts.view.features(name).trend_score for name in ("soap", "early")] == [9.0, 9.0]


async def test_touches_of_ever_other_unknown_items_take_no_more_than_a_bounded_room(empty_shop: Shop) -> None:
    empty_shop.put("tea")
    for n in range(KEPT + 500):
        empty_shop.item_features(f"bot-{n}", trend_score=1.0)
        empty_shop.content(f"bot-{n}", unit(1))
    empty_shop.settle()
    for each in (empty_shop, restarted(empty_shop)):
        assert kept(each) == (1, 0, KEPT)
        assert (len(each.parts.view._content), len(each.parts.view._early_content)) == (0, KEPT)
        assert each.parts.view.with_content() == []


async def test_features_and_vectors_that_come_before_their_item_are_the_items(empty_shop: Shop) -> None:
    empty_shop.item_features("tea", trend_score=2.0, co_visit_items=("milk",), co_visit_weights=(1.0,))
    empty_shop.content("tea", unit(1))
    empty_shop.settle()
    assert empty_shop.parts.view.features("tea") is None
    empty_shop.put("tea")
    empty_shop.put("milk")
    empty_shop.settle()
    view = empty_shop.parts.view
    assert view.is_trending("tea")
    assert view.followers("milk") == {"tea": 1.0}
    assert view.with_content() == ["tea"]
    assert names(await empty_shop.recommend()) == ["tea", "milk"]


def test_while_the_log_is_read_every_row_waits_for_its_item(shop: Shop) -> None:
    many = [f"item-{n:05}" for n in range(KEPT + 500)]
    starting = Shop()
    for name in many:
        starting.item_features(name, trend_score=1.0)
    starting.parts.tail._feed.settle = lambda: None  # type: ignore[method-assign]  # the items come in a later poll
    starting.settle()
    for name in many:
        starting.put(name)
    starting.settle()
    assert kept(starting) == (len(many), len(many), 0)
    starting.close()


def test_a_tombstone_forgets_the_items_features(shop: Shop) -> None:
    assert shop.parts.view.is_trending("wine")
    shop.log.publish(ITEM_FEATURES, "wine", None)
    shop.settle()
    assert shop.parts.view.features("wine") is None
    assert shop.parts.view.followers("beer") == {}
    assert shop.parts.view.item("wine") is not None


async def test_neighbours_that_are_kept_take_a_few_bytes_each(empty_shop: Shop) -> None:
    items = [f"a-shop-s-own-item-number-{n:05}" for n in range(300)]
    for n, name in enumerate(items):
        empty_shop.put(name)
        empty_shop.content(name, unit(1, n / 100), unit(1, n / 100))
    empty_shop.settle()
    found = empty_shop.index.search

    def as_from_a_server(collection: str, query: Vectors, limit: int) -> list[VectorHit]:
        return [VectorHit(ItemId("".join(list(hit.item_id))), hit.score) for hit in found(collection, query, limit)]

    empty_shop.index.search = as_from_a_server
    source = next(source for source in empty_shop.parts.sources if source.name is Source.CONTENT)
    tracemalloc.start()
    for name in items:
        await source.find(Query(History((), (), ()), None, (ItemId(name),), None, 10, 0))
    held_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(source._kept) == len(items)
    assert (
        held_bytes / (len(items) * 2 * NEIGHBOURS) < 50
    )  # bytes a neighbour, of text and of picture; 8 are the reference
