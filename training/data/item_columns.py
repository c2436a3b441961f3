"""The items file: one row an item, as the catalogue's `Item` and the vectors that the file itself brings.

Columns: `item` (or item_id, id), and optionally title, description, category, brand, price (in the shop's currency) or
price_cents, picture (a path beside the file), text_vector, picture_vector (lists, or JSON lists in text formats); every
other column is an attribute. A row that comes again replaces the one before it.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from contracts.catalogue import Item
from contracts.errors import BadFile
from contracts.ids import ItemId
from contracts.ports import Vectors
from training.data.event_columns import LONGEST_ID
from training.data.file_tables import column, number_cells, read_table, text_cells
from training.data.rejected import Rejected

ID = ("item", "item_id", "id")
TEXTS = {"title": 500, "description": 10_000, "category": 200, "brand": 200}
"""Text columns, and how many characters of each are kept."""

_OWN = frozenset((*ID, *TEXTS, "price", "price_cents", "picture", "text_vector", "picture_vector"))


@dataclass(frozen=True)
class ItemRow:
    """One item of the file.

    Attributes:
        item: As the catalogue holds it; its title is the id where the file has none.
        text: What an encoder may read; empty where the file says nothing in words.
        picture: Path of its picture.
        vectors: Vectors that came with the file, by "text" and "picture".
    """

    item: Item
    text: str
    picture: Path | None = None
    vectors: dict[str, Vectors] = field(default_factory=dict)


def read_items(path: Path, rejected: Rejected) -> list[ItemRow]:
    """Reads the file; what is wrong is counted in `rejected` and left out, of a row that is right otherwise.

    Raises:
        BadFile: the file cannot be read or has no column of item ids.
    """
    table = read_table(path, rejected)
    id_name = column(table, ID)
    if id_name is None:
        raise BadFile(f"found the columns {', '.join(table.column_names)} in {path}; expected one named item")
    ids = text_cells(table, id_name).to_pylist()
    texts = {name: _column_texts(table, name) for name in TEXTS}
    prices = _prices(table, rejected)
    pictures = _column_texts(table, "picture")
    vectors = {name: _vectors(table, f"{name}_vector", rejected) for name in ("text", "picture")}
    attributes = {
        name: text_cells(table, name).to_pylist()
        for name in table.column_names
        if name.strip().lower() not in _OWN and not pa.types.is_nested(table[name].type)
    }
    rows: dict[str, ItemRow] = {}
    for place, (item_id, picture) in enumerate(zip(ids, pictures, strict=True)):
        if item_id is None or len(item_id) > LONGEST_ID:
            rejected.add(f"no item id, or one over {LONGEST_ID} characters", place + 1)
            continue
        if item_id in rows:
            rejected.add("item that comes again further down", place + 1)
        said = {name: (cells[place] or "")[: TEXTS[name]] for name, cells in texts.items()}
        item = Item(
            item_id=ItemId(item_id),
            **(said | {"title": said["title"] or item_id}),
            price_cents=prices[place],
            attributes={name: cells[place] for name, cells in attributes.items() if cells[place] is not None},
        )
        rows[item_id] = ItemRow(
            item,
            text=item.text() if any(said.values()) and said["title"] else " ".join(filter(None, said.values())),
            picture=path.parent / picture if picture else None,
            vectors={name: found[place] for name, found in vectors.items() if found[place] is not None},
        )
    return list(rows.values())


def _column_texts(table: pa.Table, name: str) -> list[str | None]:
    found = column(table, (name,))
    if found is None:
        return [None] * len(table)
    texts: list[str | None] = text_cells(table, found).to_pylist()
    return texts


def _prices(table: pa.Table, rejected: Rejected) -> list[int | None]:
    for name, factor in (("price_cents", 1.0), ("price", 100.0)):
        found = column(table, (name,))
        if found is not None:
            prices = number_cells(table, found) * factor
            wrong = ~(np.isfinite(prices) & (prices >= 0) & (prices < 1e15))
            given = ~pc.is_null(text_cells(table, found)).to_numpy(zero_copy_only=False)
            rejected.leave_out("price that is no number from 0", wrong, given)
            return [None if bad else round(price) for bad, price in zip(wrong.tolist(), prices.tolist(), strict=True)]
    return [None] * len(table)


def _vectors(table: pa.Table, name: str, rejected: Rejected) -> list[Any]:
    """One (D,) float32 vector or None a row; of the commonest width alone, and finite."""
    found = column(table, (name,))
    if found is None:
        return [None] * len(table)
    vectors = [_vector(cell) for cell in table[found].to_pylist()]
    widths = [vector.size for vector in vectors if vector is not None and vector.ndim == 1 and vector.size]
    width = max(set(widths), key=widths.count, default=0)
    for place, vector in enumerate(vectors):
        if vector is not None and not (vector.shape == (width,) and width and np.isfinite(vector).all()):
            rejected.add(f"{name} that is no list of {width} finite numbers", place + 1)
            vectors[place] = None
    return vectors


def _vector(cell: Any) -> Vectors | None:
    if cell is None or cell == "":
        return None
    try:
        return np.array(orjson.loads(cell) if isinstance(cell, str) else cell, dtype=np.float32)
    except (ValueError, TypeError):
        return np.zeros(0, dtype=np.float32)  # Refused by its width.
