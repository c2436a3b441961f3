import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from contracts.catalogue import Item
from contracts.clock import from_ms
from contracts.errors import BadCheckpoint, InvalidMessage, NoModel, NotEnoughData
from contracts.events import EventKind, Search
from contracts.ids import EventId, ItemId, ModelVersion, RequestId, UserId
from contracts.ports import Vectors
from contracts.versions import PublishedVersion
from feature_repo.archive import ArchiveWriter
from feature_repo.archive_rows import event_row, example_row
from tests.builders import shop
from training.data.query_pairs import MOST_WORDS, QueryPairs, made_up_pairs, made_up_query, pairs_of, searched
from training.model import checkpoint
from training.model.checkpoint import Checkpoint
from training.model.content import ContentTable
from training.model.features import HEAD_FEATURES, ItemFacts
from training.model.fusion import FusionTransformer
from training.model.query_tower import QUERY_MODALITIES, QueryTokens, SearchQuery
from training.model.serving import ServingModel
from training.query_training import QueryLoop, fit_queries, fit_queries_and_content
from training.snapshot import Snapshot
from training.text_start import begin_with_text

WIDTH = 16
LOOP = QueryLoop(epochs=150, batch=64, negatives=12, learning_rate=5e-3)


def unit(size: int, seed: int) -> Vectors:
    vector = np.random.default_rng(seed).normal(size=size).astype(np.float32)
    made: Vectors = vector / np.linalg.norm(vector)
    return made


def encode(texts: Sequence[str]) -> Vectors:
    """Words as vectors that hash to them; a text is the sum of its words."""
    words = [np.sum([unit(shop.TEXT_WIDTH, sum(word.encode())) for word in text.split()], axis=0) for text in texts]
    return np.stack(words) if words else np.zeros((0, shop.TEXT_WIDTH), np.float32)


@pytest.fixture
def table() -> ContentTable:
    return shop.table(shop.contents())


@pytest.fixture
def model(table: ContentTable) -> FusionTransformer:
    torch.manual_seed(0)
    made = shop.model(table, WIDTH)
    made.add_query_tower()
    return made.eval()


def tokens(table: ContentTable, *queries: SearchQuery) -> QueryTokens:
    return QueryTokens.of(queries, table.shape, WIDTH)


def whole() -> SearchQuery:
    return SearchQuery(unit(shop.TEXT_WIDTH, 1), unit(shop.PICTURE_WIDTH, 2), unit(WIDTH, 3))


def pairs(table: ContentTable) -> QueryPairs:
    """A text of its own for each of the twelve items."""
    queries = [SearchQuery(unit(shop.TEXT_WIDTH, seed)) for seed in range(len(table.vocabulary))]
    return QueryPairs(tokens(table, *queries), torch.arange(len(queries)))


def test_one_batch_is_learned_by_heart_and_nothing_else_of_the_model_changes(
    table: ContentTable, model: FusionTransformer
) -> None:
    vectors, learned = Snapshot.of(model, table).vectors, pairs(table)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items() if "query_tower" not in name}
    losses = fit_queries(model, vectors, lambda epoch: learned, LOOP, seed=1)
    assert losses[-1] < 0.3 * losses[0]
    found = (model.queries(learned.queries) @ vectors.T).argmax(1)
    assert torch.equal(found, learned.items)
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in before.items())


def test_content_learns_with_the_queries_where_it_is_asked_to_and_id_rows_stay(
    table: ContentTable, model: FusionTransformer
) -> None:
    text, ids = model.item_tower.text.weight.clone(), model.item_tower.ids.weight.clone()
    learned = pairs(table)
    losses = fit_queries_and_content(model, table, lambda epoch: learned, replace(LOOP, epochs=40), seed=1)
    assert losses[-1] < losses[0]
    assert not torch.equal(text, model.item_tower.text.weight)
    assert torch.equal(ids, model.item_tower.ids.weight)
    assert not model.training


def test_an_epoch_without_pairs_is_told(table: ContentTable, model: FusionTransformer) -> None:
    none = QueryPairs(tokens(table), torch.zeros(0, dtype=torch.int64))
    with pytest.raises(NotEnoughData, match="found no pair of a query and an item"):
        fit_queries(model, Snapshot.of(model, table).vectors, lambda epoch: none, LOOP, seed=1)


@pytest.mark.parametrize("masked", QUERY_MODALITIES)
def test_a_masked_modality_has_no_influence(table: ContentTable, model: FusionTransformer, masked: str) -> None:
    query = tokens(table, whole())
    present = query.present.clone()
    present[:, QUERY_MODALITIES.index(masked)] = False
    one = replace(query, present=present)
    other = replace(one, **{masked: torch.randn_like(getattr(query, masked))})
    assert torch.equal(model.queries(one), model.queries(other))


@pytest.mark.parametrize("changed", QUERY_MODALITIES)
def test_a_present_modality_has_influence(table: ContentTable, model: FusionTransformer, changed: str) -> None:
    query = tokens(table, whole())
    other = replace(query, **{changed: torch.randn_like(getattr(query, changed))})
    assert not torch.allclose(model.queries(query), model.queries(other), atol=1e-3)


def test_the_order_of_modalities_does_not_matter(table: ContentTable, model: FusionTransformer) -> None:
    tower = model.query_tower
    assert tower is not None
    told = tower.tokens(tokens(table, whole(), SearchQuery(text=whole().text)))  # (2, 3, D)
    present = torch.tensor([[True, True, True], [True, False, True]])
    order = [2, 0, 1]
    torch.testing.assert_close(tower.fused(told[:, order], present[:, order]), tower.fused(told, present))


def test_query_vectors_are_of_unit_length(table: ContentTable, model: FusionTransformer) -> None:
    queries = (whole(), SearchQuery(text=whole().text), SearchQuery(picture=whole().picture))
    lengths = model.queries(tokens(table, *queries)).norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(3))


def test_a_query_is_the_same_alone_and_in_a_batch(table: ContentTable, model: FusionTransformer) -> None:
    together = model.queries(tokens(table, whole(), SearchQuery(picture=unit(shop.PICTURE_WIDTH, 5))))
    torch.testing.assert_close(model.queries(tokens(table, whole())), together[:1])


def test_a_users_vector_draws_the_answer_to_what_the_user_likes(table: ContentTable, model: FusionTransformer) -> None:
    text, liked = unit(shop.TEXT_WIDTH, 1), unit(WIDTH, 3)
    plain, personal = model.queries(tokens(table, SearchQuery(text), SearchQuery(text, user=liked)))
    assert personal @ torch.from_numpy(liked) > plain @ torch.from_numpy(liked)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (SearchQuery(), "neither a text nor a picture vector"),
        (SearchQuery(user=unit(WIDTH, 1)), "neither a text nor a picture vector"),
        (
            SearchQuery(np.full(shop.TEXT_WIDTH, np.nan, np.float32)),
            "a text vector .* with numbers that are not finite",
        ),
        (SearchQuery(picture=np.full(shop.PICTURE_WIDTH, np.inf, np.float32)), "a picture vector .* not finite"),
        (SearchQuery(unit(3, 1)), rf"a text vector of shape \(3,\); expected \({shop.TEXT_WIDTH},\)"),
    ],
)
def test_a_query_that_cannot_be_read_is_refused(table: ContentTable, query: SearchQuery, found: str) -> None:
    with pytest.raises(InvalidMessage, match=f"query 1: found {found}"):
        tokens(table, whole(), query)


def test_a_model_without_a_query_tower_says_so(table: ContentTable) -> None:
    with pytest.raises(NoModel, match="found a model without a query tower"):
        shop.model(table, WIDTH).queries(tokens(table, whole()))


def saved(directory: Path, model: FusionTransformer, table: ContentTable) -> Path:
    directory.mkdir()
    facts = tuple(ItemFacts.of(table.item(item_id)) for item_id in table.vocabulary)
    checkpoint.save(
        directory, Checkpoint(model, table.vocabulary, facts, Snapshot.of(model, table).vectors.numpy(), table.ids)
    )
    return directory


def test_a_checkpoint_keeps_its_query_tower(tmp_path: Path, table: ContentTable, model: FusionTransformer) -> None:
    query = tokens(table, whole())
    loaded = checkpoint.load(saved(tmp_path / "one", model, table))
    assert torch.equal(loaded.model.queries(query), model.queries(query))


def test_a_checkpoint_of_before_the_query_tower_loads_without_one(tmp_path: Path, table: ContentTable) -> None:
    directory = saved(tmp_path / "old", shop.model(table, WIDTH), table)
    description = json.loads((directory / checkpoint.DESCRIPTION).read_text())
    del description["config"]["queries"]
    (directory / checkpoint.DESCRIPTION).write_text(json.dumps(description))
    assert checkpoint.load(directory).model.query_tower is None


def test_a_checkpoint_that_says_it_has_a_query_tower_and_has_none_is_refused(
    tmp_path: Path, table: ContentTable
) -> None:
    directory = saved(tmp_path / "half", shop.model(table, WIDTH), table)
    description = json.loads((directory / checkpoint.DESCRIPTION).read_text())
    description["config"]["queries"] = True
    (directory / checkpoint.DESCRIPTION).write_text(json.dumps(description))
    with pytest.raises(BadCheckpoint, match="query_tower"):
        checkpoint.load(directory)


def test_a_served_version_finds_the_item_that_was_asked_for(
    tmp_path: Path, table: ContentTable, model: FusionTransformer
) -> None:
    learned = pairs(table)
    fit_queries(model, Snapshot.of(model, table).vectors, lambda epoch: learned, LOOP, seed=1)
    version = PublishedVersion(
        version=ModelVersion("v1"),
        parent=None,
        origin="batch",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        data_from=None,
        data_to=None,
        examples=1,
        features=HEAD_FEATURES,
    )
    served = ServingModel(version, checkpoint.load(saved(tmp_path / "v1", model, table)))
    asked = served.query_vector(text=unit(shop.TEXT_WIDTH, 4))
    scores = {item_id: float(vector @ asked) for item_id, vector in served.item_vectors().items()}
    assert max(scores, key=scores.__getitem__) == "i4"
    with pytest.raises(InvalidMessage):
        served.query_vector()


def test_a_made_up_query_is_a_few_of_the_items_own_words_in_their_order() -> None:
    item = Item(item_id=ItemId("a"), title="ACME Aqua kettle 1.7 l steel", category="Kettles", brand="ACME")
    words = ["Kettles", "ACME", "Aqua", "kettle", "1.7", "l", "steel"]
    rng = np.random.default_rng(0)
    for _ in range(50):
        places = [words.index(word) for word in made_up_query(item, rng).split()]
        assert places == sorted(set(places))
        assert 1 <= len(places) <= MOST_WORDS


def test_every_item_has_a_made_up_query_and_only_pictured_ones_are_asked_for_by_picture(table: ContentTable) -> None:
    made = made_up_pairs(table, encode, WIDTH, np.random.default_rng(0))
    assert made.items.tolist() == list(range(12))
    pictured = table.tokens().present[:, 1]
    asked_by_picture: Tensor = made.queries.present[:, 1]
    assert asked_by_picture.any()
    assert not (asked_by_picture & ~pictured).any()
    assert made.queries.present[:, :2].any(1).all()


def test_searches_are_paired_with_what_was_touched_in_answer_to_them(tmp_path: Path, table: ContentTable) -> None:
    at = from_ms(shop.START_MS)
    events, feedback = ArchiveWriter(tmp_path, "events"), ArchiveWriter(tmp_path, "feedback")
    asked = [("r1", "red kettle"), ("r2", " "), ("r3", "lamp")]
    events.append(
        [
            event_row(
                Search(event_id=EventId(f"s{r}"), at=at, user_id=UserId("u1"), text=text, request_id=RequestId(r))
            )
            for r, text in asked
        ]
    )
    for number, (request, item, touched) in enumerate(
        [("r1", "i3", True), ("r1", "i4", False), ("r2", "i5", True), ("r9", "i6", True), ("r1", "gone", True)]
    ):
        one = shop.example(number, item, outcome=EventKind.CLICK if touched else None)
        feedback.append([example_row(one.model_copy(update={"request_id": RequestId(request)}))])
    cancelled = {"request_id": RequestId("r1"), "quantity": -1}
    feedback.append([example_row(shop.example(9, "i7", outcome=EventKind.PURCHASE).model_copy(update=cancelled))])
    events.flush()
    feedback.flush()
    found = searched(tmp_path)
    assert [(pair.text, pair.item_id) for pair in found] == [("red kettle", "i3"), ("red kettle", "gone")]
    made = pairs_of(found, table, encode, WIDTH, user_of=lambda pair: unit(WIDTH, 1))
    assert made.items.tolist() == [3]
    assert made.queries.present.tolist() == [[True, False, True]]


def test_items_begin_as_alike_as_the_encoder_finds_their_texts(table: ContentTable) -> None:
    texts = table.tokens().text
    wished = texts @ texts.T

    def agreement(text_start: bool) -> float:
        torch.manual_seed(0)
        model = shop.model(table, WIDTH)
        if text_start:
            begin_with_text(model, table)
        with torch.no_grad():
            vectors = model.items(table.tokens().without_ids())
        upper = torch.triu_indices(12, 12, 1)
        both = torch.stack([(vectors @ vectors.T)[upper[0], upper[1]], wished[upper[0], upper[1]]])
        return float(torch.corrcoef(both)[0, 1])

    assert agreement(True) > 0.8
    assert agreement(True) > agreement(False)
