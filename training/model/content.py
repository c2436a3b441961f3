"""What the item tower reads of each item, as growing arrays: one row an item, masks for what is missing.

N items, Dt and Dp widths of text and picture vectors, A attribute slots, M modalities.
"""

from collections.abc import Collection, Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contracts.catalogue import Item
from contracts.errors import InvalidMessage
from contracts.ids import ItemId
from contracts.ports import Vectors
from training.model.id_table import SHARED_ROW, IdTable, Turnover
from training.model.vocabulary import OTHER_ATTRIBUTES, Vocabulary, attribute_bucket, price_bucket

MODALITIES = ("text", "picture", "category", "brand", "price", "other", "id")
"""The tokens of an item, in the order of the mask's columns."""

_ATTRIBUTES = 3 + OTHER_ATTRIBUTES
_GROWTH = 256


@dataclass(frozen=True)
class ItemContent:
    """An item with its content vectors; None where the item has no text or (readable) picture vector."""

    item: Item
    text: Vectors | None
    picture: Vectors | None


@dataclass(frozen=True)
class ContentShape:
    """Widths of the content vectors, and how many items may have an id embedding of their own."""

    text_width: int
    picture_width: int
    id_rows: int


@dataclass(frozen=True)
class ItemTokens:
    """A batch of items as tensors.

    Attributes:
        text: (N, Dt) float32, zeros where missing.
        picture: (N, Dp) float32, zeros where missing.
        attributes: (N, A) int64 hash buckets: category, brand, price, then the others; 0 where missing.
        ids: (N,) int64 rows of the id embedding, from 1; `SHARED_ROW` for an item without one.
        present: (N, M) bool, by the order of `MODALITIES`.
    """

    text: Tensor
    picture: Tensor
    attributes: Tensor
    ids: Tensor
    present: Tensor

    def to(self, device: torch.device) -> "ItemTokens":
        """The same on another device."""
        return ItemTokens(
            self.text.to(device),
            self.picture.to(device),
            self.attributes.to(device),
            self.ids.to(device),
            self.present.to(device),
        )

    def without_ids(self) -> "ItemTokens":
        """The same with the id token masked: items that no id row was trained for."""
        present = self.present.clone()
        present[:, -1] = False
        return replace(self, ids=torch.zeros_like(self.ids), present=present)


class ContentTable:
    """Content of all items of a vocabulary, by index. An item that is not described has its id row at most.

    Args:
        shape: Widths, and rows of the id embedding.
        vocabulary: Items by index.
        ids: Which of them have an id row; when None, the first ones.
    """

    def __init__(self, shape: ContentShape, vocabulary: Vocabulary, ids: IdTable | None = None) -> None:
        self.shape = shape
        self.vocabulary = vocabulary
        self.ids = IdTable(shape.id_rows, vocabulary.ids[: shape.id_rows]) if ids is None else ids
        self._id_rows = self.ids.rows(vocabulary)
        self._text = np.zeros((0, shape.text_width), dtype=np.float32)
        self._picture = np.zeros((0, shape.picture_width), dtype=np.float32)
        self._attributes = np.zeros((0, _ATTRIBUTES), dtype=np.int64)
        self._present = np.zeros((0, len(MODALITIES)), dtype=np.bool_)
        self._items: dict[ItemId, Item] = {}
        self._reserve(len(vocabulary))

    def put(self, contents: Iterable[ItemContent]) -> None:
        """Adds or replaces items, admitting new ones.

        Raises:
            InvalidMessage: a vector of another width than the model was made for, or with a NaN in it.
        """
        for content in contents:
            text = self._checked(content, "text", content.text, self.shape.text_width)
            picture = self._checked(content, "picture", content.picture, self.shape.picture_width)
            index = self.vocabulary.admit(content.item.item_id)
            self._reserve(index + 1)
            self._text[index] = 0.0 if text is None else text
            self._picture[index] = 0.0 if picture is None else picture
            self._attributes[index] = attribute_row(content.item)
            self._present[index] = self._presence(index, text is not None, picture is not None)
            self._items[content.item.item_id] = content.item

    def item(self, item_id: ItemId) -> Item | None:
        """The item as the catalogue describes it; None when it was never described."""
        return self._items.get(item_id)

    def tokens(self, indices: NDArray[np.int64] | None = None) -> ItemTokens:
        """The rows of the given indices (all items when None) as tensors."""
        count = len(self.vocabulary)
        self._reserve(count)
        rows = np.arange(count) if indices is None else indices
        present = self._present[rows].copy()
        ids = self._id_rows[rows]
        present[:, -1] = ids != SHARED_ROW
        return ItemTokens(
            text=torch.from_numpy(self._text[rows]),
            picture=torch.from_numpy(self._picture[rows]),
            attributes=torch.from_numpy(self._attributes[rows]),
            ids=torch.from_numpy(ids),
            present=torch.from_numpy(present),
        )

    def id_rows(self) -> NDArray[np.int64]:
        """Rows of the id embedding of all items, (N,); 0 for an item without one."""
        self._reserve(len(self.vocabulary))
        return self._id_rows[: len(self.vocabulary)].copy()

    def observe(self, ids: Sequence[ItemId]) -> Turnover:
        """Items of the vocabulary that were seen, which may earn id rows: `IdTable.observe`."""
        turnover = self.ids.observe(ids)
        for item_id in turnover.lost:
            self._set_id_row(item_id, SHARED_ROW)
        for item_id, row in turnover.gained.items():
            self._set_id_row(item_id, row)
        return turnover

    def with_ids(self, ids: IdTable) -> "ContentTable":
        """The same items with other id rows; content is shared: put items into one of the two tables alone."""
        self._reserve(len(self.vocabulary))
        made = copy(self)
        made.shape, made.ids = replace(self.shape, id_rows=ids.rows_in_all), ids
        made._id_rows = _grown(ids.rows(self.vocabulary), len(self._text) - len(self.vocabulary))
        return made

    def without(self, gone: Collection[ItemId]) -> "ContentTable":
        """A table of the other items alone, under new indices; the id rows of the gone ones are free."""
        self._reserve(len(self.vocabulary))
        self.ids.release(item_id for item_id in self.vocabulary if item_id in gone)
        places = np.flatnonzero([item_id not in gone for item_id in self.vocabulary])
        kept = Vocabulary(self.vocabulary.ids[place] for place in places.tolist())
        made = ContentTable(self.shape, kept, self.ids)
        for name in ("_text", "_picture", "_attributes", "_present"):
            setattr(made, name, getattr(self, name)[places])
        made._id_rows = self.ids.rows(kept)
        made._items = {item_id: item for item_id, item in self._items.items() if item_id in kept}
        return made

    def _set_id_row(self, item_id: ItemId, row: int) -> None:
        index = self.vocabulary.index(item_id)
        if index is not None:
            self._reserve(index + 1)
            self._id_rows[index] = row

    def _presence(self, index: int, text: bool, picture: bool) -> NDArray[np.bool_]:
        slots = self._attributes[index] > 0
        return np.array([text, picture, slots[0], slots[1], slots[2], slots[3:].any(), True], dtype=np.bool_)

    def _checked(self, content: ItemContent, name: str, vector: Vectors | None, width: int) -> Vectors | None:
        if vector is None or width == 0:
            return None
        if vector.shape != (width,) or not np.isfinite(vector).all():
            raise InvalidMessage(
                f"item {content.item.item_id}: found a {name} vector of shape {vector.shape}; expected ({width},), "
                "finite; check that the encoders are those of the training, or train anew"
            )
        return vector

    def _reserve(self, count: int) -> None:
        missing = count - len(self._text)
        if missing <= 0:
            return
        more = max(missing, _GROWTH, len(self._text) // 4)
        self._text = _grown(self._text, more)
        self._picture = _grown(self._picture, more)
        self._attributes = _grown(self._attributes, more)
        self._present = _grown(self._present, more)
        self._id_rows = _grown(self._id_rows, len(self._text) - len(self._id_rows))


def attribute_row(item: Item) -> NDArray[np.int64]:
    """Hash buckets of an item's category, brand, price and first other attributes; shape (A,)."""
    row = np.zeros(_ATTRIBUTES, dtype=np.int64)
    row[0] = attribute_bucket("category", item.category)
    row[1] = attribute_bucket("brand", item.brand)
    row[2] = price_bucket(item.price_cents)
    for slot, (name, value) in enumerate(sorted(item.attributes.items())[:OTHER_ATTRIBUTES]):
        row[3 + slot] = attribute_bucket(name, value)
    return row


def _grown(array: NDArray, more: int) -> NDArray:  # type: ignore[type-arg]  # one helper for three dtypes
    return np.concatenate([array, np.zeros((more, *array.shape[1:]), dtype=array.dtype)])
