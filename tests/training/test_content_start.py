import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from contracts.ids import ItemId
from tests.builders import shop
from training.content_start import LEAST_ITEMS, begin_with_content
from training.data.archive_set import training_set
from training.data.sequences import item_counts
from training.model.content import ContentTable
from training.model.fusion import FusionConfig, FusionTransformer
from training.model.fusions import FusionKind
from training.model.vocabulary import Vocabulary
from training.warm_start import recent_counts, warm_start

ITEMS, CATEGORIES = 60, 3


def fresh(table: ContentTable) -> FusionTransformer:
    torch.manual_seed(0)
    return shop.model(table)


@pytest.mark.parametrize("kind", list(FusionKind))
def test_a_new_item_begins_among_the_items_of_its_kind(kind: FusionKind) -> None:
    new = {ItemId(f"i{number}") for number in range(ITEMS - 12, ITEMS)}
    rows = [row for row in shop.rows(users=90, length=30, items=ITEMS) if row.item_id not in new]
    made = training_set(shop.contents(ITEMS), rows, "a log")
    torch.manual_seed(0)
    model = FusionTransformer(FusionConfig(made.table.shape, 16, attention_heads=2, fusion=kind)).eval()
    counts = recent_counts(made.users, ITEMS, made.data_to_ms, 365.0)
    warm_start(model, made.table, made.users, counts, seed=0)
    with torch.no_grad():
        vectors = model.items(made.table.tokens())  # (N, D)
    known, late = vectors[: ITEMS - 12], vectors[ITEMS - 12 :]
    kinds = torch.arange(ITEMS) % CATEGORIES
    centres = torch.stack([known[kinds[: ITEMS - 12] == kind].mean(0) for kind in range(CATEGORIES)])  # (kinds, D)
    nearest = (late @ centres.T).argmax(1)
    assert (nearest == kinds[ITEMS - 12 :]).float().mean() >= 11 / 12


def test_what_follows_from_the_text_is_guessed_exactly_and_what_is_missing_adds_nothing() -> None:
    contents = [replace(content, picture=None) for content in shop.contents(200)]
    table = shop.table(contents)
    texts = table.tokens().text
    truth = texts @ torch.randn(shop.TEXT_WIDTH, 16, generator=torch.Generator().manual_seed(1))  # (N, D)
    model = fresh(table)
    begin_with_content(model, table, truth, torch.full((200,), 1000.0))
    tower = model.item_tower
    guess = tower.text(texts) + tower.attributes(table.tokens().attributes[:, :3]).sum(1) + tower.base
    cosines = torch.nn.functional.cosine_similarity(guess, truth)
    assert cosines.min() > 0.9
    assert not tower.picture.weight.any()


def test_items_without_content_change_nothing() -> None:
    table = ContentTable(shop.table(shop.contents()).shape, Vocabulary(ItemId(f"i{number}") for number in range(40)))
    model = fresh(table)
    before = copy.deepcopy(model.state_dict())
    begin_with_content(model, table, torch.randn(40, 16), torch.ones(40))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_too_few_touched_items_change_nothing() -> None:
    table = shop.table(shop.contents(40))
    model = fresh(table)
    before = copy.deepcopy(model.state_dict())
    touches = torch.zeros(40)
    touches[: LEAST_ITEMS - 1] = 5.0
    begin_with_content(model, table, torch.randn(40, 16), touches)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_the_same_log_gives_the_same_start() -> None:
    made = shop.shop(items=30)
    touches = torch.from_numpy(item_counts(made.users, 30)).float()
    vectors = torch.from_numpy(np.random.default_rng(0).normal(size=(30, 16)).astype(np.float32))
    models = [fresh(made.table) for _ in range(2)]
    for model in models:
        begin_with_content(model, made.table, vectors, touches)
    assert torch.equal(models[0].item_tower.text.weight, models[1].item_tower.text.weight)
    assert torch.equal(models[0].item_tower.attributes.weight, models[1].item_tower.attributes.weight)
