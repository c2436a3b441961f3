"""A shop's catalogue file: rows to items, pictures by relative path to the picture store.

Columns are the fields of `contracts.catalogue.Item`. `price` (units, as in 12.50) may stand for `price_cents`, and
`picture` is a path relative to the file. A column of another name becomes an attribute. A picture that cannot be read
costs the item its picture, never the item.
"""

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contracts.catalogue import Item
from contracts.errors import BadPicture
from contracts.ids import PictureKey
from contracts.ports import PictureStore
from contracts.refusals import first_refusal
from contracts.settings import Settings
from feature_repo.pictures import FilePictureStore
from millstream.sources.rejects import Rejects
from millstream.sources.rows import Row, count_rows, read_rows

_FIELDS = frozenset(Item.model_fields)


class Catalogue:
    """The items of a file, read as they are iterated. `len` is the number of rows, for progress."""

    def __init__(self, path: Path, pictures: PictureStore, rejects: Rejects):
        self._path = path
        self._pictures = pictures
        self._rejects = rejects
        self._rows = read_rows(path)
        self._count = count_rows(path)

    def __len__(self) -> int:
        """Rows in the file."""
        return self._count

    def __iter__(self) -> Iterator[Item]:
        """Items of the rows that are right; the others go to the rejects."""
        for row in self._rows:
            if row.problem:
                self._rejects.refuse(row.line, row.problem, row.fields)
                continue
            try:
                yield self._item(row)
            except ValidationError as error:
                self._rejects.refuse(row.line, first_refusal(error), row.fields)

    def _item(self, row: Row) -> Item:
        fields = dict(row.fields)
        path = fields.pop("picture", None)
        fields = item_fields(fields)
        if path:
            fields["picture"] = self._picture(row, str(path))
        return Item.model_validate(fields)

    def _picture(self, row: Row, relative: str) -> PictureKey | None:
        path = self._path.parent / relative
        try:
            return self._pictures.put(path.read_bytes())
        except FileNotFoundError:
            self._rejects.skip(f"no picture file ({relative} and the like); their items are kept without")
        except (BadPicture, OSError) as error:
            self._rejects.refuse(row.line, f"picture {relative}: {error}; the item is kept without it", row.fields)
        return None


def read_catalogue(path: Path, settings: Settings, rejects: Rejects) -> Catalogue:
    """The items of a catalogue file. Raises BadFile when it cannot be read at all."""
    return Catalogue(path, FilePictureStore(settings.pictures_dir, settings.picture_max_bytes), rejects)


def item_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """Columns as the fields of an item: `price` to cents, ids and titles to text, other columns to attributes."""
    known = {name: value for name, value in fields.items() if name in _FIELDS}
    others = {name: str(value) for name, value in fields.items() if name not in _FIELDS and name != "price"}
    for name in ("item_id", "title", "category", "brand", "description"):
        if name in known:
            known[name] = str(known[name])
    if "price" in fields and "price_cents" not in known:
        known["price_cents"] = _cents(fields["price"])
    given = known.get("attributes") or {}
    if isinstance(given, dict):
        known["attributes"] = {**others, **{str(name): str(value) for name, value in given.items()}}
    return known


def _cents(price: object) -> object:
    try:
        return round(Decimal(str(price).strip().lstrip("$€£")) * 100)
    except (InvalidOperation, ValueError):
        return price  # The item's own validation says what is wrong with it.
