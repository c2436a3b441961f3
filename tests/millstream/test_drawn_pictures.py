"""The drawn pictures: the same for the same product, different for different ones, small, and drawn once."""

import io
from pathlib import Path

import pytest
from PIL import Image

from contracts.catalogue import Item
from contracts.ids import ItemId
from millstream.demo.pictures import draw as drawing
from millstream.demo.pictures.choice import BY_AISLE, BY_WORD, shape_of
from millstream.demo.pictures.draw import draw, drawn
from millstream.demo.pictures.palette import HUES
from millstream.sources.journey_names import AISLES


def _item(title: str = "Strawberry Yogurt, 6 oz", category: str = "Yogurt", brand: str = "Rosehaven") -> Item:
    return Item(item_id=ItemId(title), title=title, category=category, brand=brand, attributes={"size": "6 oz"})


def test_the_same_product_gives_the_same_bytes() -> None:
    assert draw(_item()) == draw(_item())


def test_another_brand_or_variety_gives_another_picture() -> None:
    pictures = {draw(_item()), draw(_item(brand="Oakdale")), draw(_item(title="Peach Yogurt, 6 oz"))}
    assert len(pictures) == 3


def test_a_picture_is_a_square_of_320_pixels_and_of_few_bytes() -> None:
    encoded = draw(_item())
    with Image.open(io.BytesIO(encoded)) as picture:
        assert picture.size == (320, 320)
    assert len(encoded) < 20_000


@pytest.mark.parametrize("aisle", sorted(AISLES))
def test_every_shape_of_an_aisle_draws_without_error(aisle: str) -> None:
    assert aisle in BY_AISLE
    assert aisle in HUES
    for word in [word for word, _ in BY_WORD.get(aisle, ())] + ["anything else"]:
        assert draw(_item(title=f"Some {word} of this kind", category=aisle))


def test_an_unknown_category_still_gets_a_picture() -> None:
    assert draw(_item(category="Garden Gnomes", title="A gnome"))


def test_the_first_word_that_fits_chooses_the_shape() -> None:
    assert shape_of("Milk & Cream", "White Milk, 1 gal") is not shape_of("Milk & Cream", "White Milk, 1 pint")


def test_a_picture_that_was_drawn_is_taken_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [_item(), _item(title="Peach Yogurt, 6 oz")]
    first = drawn(items, tmp_path)
    monkeypatch.setattr(drawing, "ProcessPoolExecutor", None)
    assert drawn(items, tmp_path) == first
    assert set(first) == {item.item_id for item in items}
