from dataclasses import replace

import numpy as np
import pytest
import torch

from contracts.errors import InvalidMessage
from tests.builders import shop
from training.model.content import MODALITIES, ItemContent
from training.model.fusion import FusionTransformer


def seeded() -> tuple[FusionTransformer, shop.ContentTable]:
    torch.manual_seed(0)
    table = shop.table(shop.contents())
    return shop.model(table), table


def test_item_vectors_are_of_unit_length() -> None:
    model, table = seeded()
    with torch.no_grad():
        lengths = model.items(table.tokens()).norm(dim=1)
    assert torch.allclose(lengths, torch.ones(12), atol=1e-5)


@pytest.mark.parametrize("modality", ["text", "picture", "category", "id"])
def test_a_masked_modality_has_no_influence(modality: str) -> None:
    model, table = seeded()
    tokens = table.tokens()
    present = tokens.present.clone()
    present[:, MODALITIES.index(modality)] = False
    changed = {
        "text": replace(tokens, text=torch.randn_like(tokens.text), present=present),
        "picture": replace(tokens, picture=torch.randn_like(tokens.picture), present=present),
        "category": replace(tokens, attributes=tokens.attributes.index_fill(1, torch.tensor([0]), 7), present=present),
        "id": replace(tokens, ids=torch.ones_like(tokens.ids), present=present),
    }[modality]
    with torch.no_grad():
        assert torch.allclose(model.items(replace(tokens, present=present)), model.items(changed), atol=1e-6)


def test_a_present_modality_has_influence() -> None:
    model, table = seeded()
    tokens = table.tokens()
    with torch.no_grad():
        same = model.items(tokens)
        other = model.items(replace(tokens, text=torch.randn_like(tokens.text)))
    assert not torch.allclose(same, other, atol=1e-4)


def test_the_order_of_modalities_does_not_matter() -> None:
    model, table = seeded()
    tokens = table.tokens()
    tower = model.item_tower
    order = torch.randperm(len(MODALITIES) + 1)
    present = torch.nn.functional.pad(tokens.present, (0, 1), value=True)
    with torch.no_grad():
        stacked = tower.tokens(tokens)
        assert torch.allclose(
            tower.pooling(stacked, present), tower.pooling(stacked[:, order], present[:, order]), atol=1e-6
        )


def test_an_item_without_any_content_or_id_row_still_has_a_vector() -> None:
    model, table = seeded()
    for place in range(20):
        table.vocabulary.admit(shop.ItemId(f"unknown{place}"))
    with torch.no_grad():
        vectors = model.items(table.tokens())
    assert vectors.shape == (32, 16)
    assert bool(torch.isfinite(vectors).all())


def test_a_text_vector_of_another_width_is_refused_with_what_to_do() -> None:
    _, table = seeded()
    content = shop.contents()[0]
    with pytest.raises(InvalidMessage, match=r"shape \(3,\); expected \(8,\)"):
        table.put([ItemContent(content.item, np.ones(3, dtype=np.float32), None)])


def test_a_vector_with_a_nan_is_refused() -> None:
    _, table = seeded()
    text = np.full(shop.TEXT_WIDTH, np.nan, dtype=np.float32)
    with pytest.raises(InvalidMessage, match="finite"):
        table.put([ItemContent(shop.contents()[0].item, text, None)])


def test_an_item_of_which_only_the_id_is_known_keeps_it_in_training() -> None:
    model, table = seeded()
    tokens = table.tokens()
    present = torch.zeros_like(tokens.present)
    present[:, MODALITIES.index("id")] = True
    model.train()
    model.item_tower.dropout = 0.9
    with torch.no_grad():
        vectors = model.items(replace(tokens, present=present))
    assert torch.allclose(vectors, model.eval().items(replace(tokens, present=present)), atol=1e-6)
