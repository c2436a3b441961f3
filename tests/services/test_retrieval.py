"""Sources, merge, filters, words, the catalogue's orders."""

from contracts.catalogue import Item
from contracts.features import ItemFeatures, UserFeatures
from contracts.ids import ItemId
from contracts.requests import Source
from services.retrieval.candidates import Candidate, Merged, Query
from services.retrieval.catalogue_view import CatalogueView
from services.retrieval.co_visit import CoVisitSource
from services.retrieval.filters import Dropped, Rules, keep
from services.retrieval.lexical import LexicalIndex
from services.retrieval.merge import merge
from services.retrieval.trending import TrendingSource
from training.model.serving import History

A, B, C = ItemId("a"), ItemId("b"), ItemId("c")
HOUR_MS = 3_600_000


def item(item_id: str, **fields) -> Item:
    return Item(**{"item_id": item_id, "title": item_id, "category": "food", **fields})


def query(*context: str, user: UserFeatures | None = None, category: str | None = None, limit: int = 10) -> Query:
    return Query(History((), (), ()), user, tuple(map(ItemId, context)), category, limit, 0)


def view(**features: ItemFeatures) -> CatalogueView:
    catalogue = CatalogueView(trend_half_life_s=3600)
    for item_id, row in features.items():
        catalogue.put(item(item_id))
        catalogue.put_features(ItemId(item_id), row)
    catalogue.refresh()
    return catalogue


def test_the_merge_adds_weighted_reciprocal_ranks() -> None:
    lists = [(Source.MODEL, [Candidate(A, 9), Candidate(B, 8)]), (Source.TRENDING, [Candidate(B, 1)])]
    merged = merge(lists, {Source.MODEL: 1.0, Source.TRENDING: 0.5})
    assert merged == [
        Merged(B, 1.0 / (60 + 2) + 0.5 / (60 + 1), (Source.MODEL, Source.TRENDING)),
        Merged(A, 1.0 / (60 + 1), (Source.MODEL,)),
    ]


def test_a_source_with_two_lists_is_named_once() -> None:
    (only,) = merge([(Source.TEXT, [Candidate(A, 1)]), (Source.TEXT, [Candidate(A, 1)])], {Source.TEXT: 1.0})
    assert only == Merged(A, 1 / 61 + 1 / 61, (Source.TEXT,))


def test_equal_scores_are_ordered_by_item() -> None:
    lists = [(Source.MODEL, [Candidate(B, 1)]), (Source.CO_VISIT, [Candidate(A, 1)])]
    assert [merged.item_id for merged in merge(lists)] == [A, B]


def test_each_filter_has_its_reason() -> None:
    items = {
        "bought": item("bought"),
        "excluded": item("excluded"),
        "out": item("out", in_stock=False),
        "other": item("other", category="home"),
        "good": item("good"),
    }
    rules = Rules(frozenset({ItemId("excluded")}), frozenset({ItemId("bought")}), True, "food")
    kept, dropped = keep([Merged(ItemId(name), 1.0) for name in (*items, "deleted")], rules, items.get)
    assert [candidate.item_id for candidate in kept] == ["good"]
    assert dropped == dict.fromkeys(Dropped, 1)


def test_out_of_stock_items_stay_when_they_are_wanted() -> None:
    assert Rules(in_stock_only=False).refusal(A, item("a", in_stock=False)) is None


async def test_co_visits_add_their_shares_and_fade_along_the_context() -> None:
    source = CoVisitSource(
        view(
            a=ItemFeatures(co_visit_items=("c", "b"), co_visit_weights=(3.0, 1.0)),
            b=ItemFeatures(co_visit_items=("c",), co_visit_weights=(5.0,)),
        )
    )
    found = await source.find(query("a", "b", "ghost"))
    # Of `b`: 5 before it, and `a` after it, whose row names `b` with 1.
    assert found.candidates == [
        Candidate(C, 3 / (3 + 1) + 0.8 * 5 / (5 + 1)),
        Candidate(B, 1 / (3 + 1)),
        Candidate(A, 0.8 * 1 / (5 + 1)),
    ]


async def test_what_was_touched_after_an_item_is_found_from_it_until_its_row_says_otherwise() -> None:
    catalogue = view(a=ItemFeatures(), b=ItemFeatures(co_visit_items=("a",), co_visit_weights=(2.0,)))
    assert (await CoVisitSource(catalogue).find(query("a"))).candidates == [Candidate(B, 1.0)]
    catalogue.put_features(B, ItemFeatures(co_visit_items=("c",), co_visit_weights=(1.0,)))
    assert (await CoVisitSource(catalogue).find(query("a"))).candidates == []
    assert catalogue.followers(C) == {B: 1.0}
    catalogue.remove(B)
    assert catalogue.followers(C) == {}


def test_popularity_decays_with_time_since_the_last_interaction() -> None:
    catalogue = view(
        old=ItemFeatures(trend_score=3.0, last_event_ms=0),
        new=ItemFeatures(trend_score=2.0, last_event_ms=HOUR_MS),  # 3 has halved to 1.5 by then
        never=ItemFeatures(),
    )
    assert catalogue.popular() == ("new", "old", "never")


async def test_trends_take_turns_between_the_users_categories_and_the_shop() -> None:
    catalogue = CatalogueView(3600)
    for item_id, category, score in (("f1", "food", 9), ("f2", "food", 8), ("h1", "home", 2), ("h2", "home", 1)):
        catalogue.put(item(item_id, category=category))
        catalogue.put_features(ItemId(item_id), ItemFeatures(trend_score=score))
    catalogue.put(item("quiet", category="home"))
    catalogue.refresh()
    source = TrendingSource(catalogue)
    user = UserFeatures(category_names=("home",), category_weights=(1.0,))
    found = await source.find(query(user=user))
    assert [candidate.item_id for candidate in found.candidates] == ["h1", "f1", "h2", "f2"]
    assert [c.item_id for c in (await source.find(query(category="home"))).candidates] == ["h1", "h2"]


def test_rare_words_weigh_more_than_frequent_ones_and_beginnings_count() -> None:
    index = LexicalIndex()
    for item_id, title in (("a", "red wine"), ("b", "white wine"), ("c", "red cabbage")):
        index.put(item(item_id, title=title, category=""))
    assert [hit.item_id for hit in index.search("White wine", 5)] == ["b", "a"]
    assert [hit.item_id for hit in index.search("cabb", 5)] == ["c"]
    index.put(item("b", title="milk", category=""))
    index.remove(A)
    index.remove(ItemId("ghost"))
    assert index.search("wine", 5) == []


def test_a_deleted_item_leaves_every_order() -> None:
    catalogue = view(a=ItemFeatures(trend_score=1.0), b=ItemFeatures())
    catalogue.remove(A)
    catalogue.refresh()
    assert catalogue.popular() == ("b",)
    assert catalogue.categories() == {"food": 1}
    assert catalogue.features(A) is None
