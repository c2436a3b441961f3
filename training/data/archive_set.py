"""The training set as the archive holds it: examples, the catalogue as it stands last, and its content vectors."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from contracts.catalogue import Item
from contracts.clock import to_ms
from contracts.errors import NotEnoughData
from contracts.events import EventKind
from contracts.ids import ItemId, PictureKey
from contracts.vectors import vector_from_base64
from feature_repo.archive import ArchiveReader
from feature_repo.archive_rows import last_of_each
from training.data.sequences import ExampleRow, UserSequence, item_counts, sequences
from training.model.content import ContentShape, ContentTable, ItemContent
from training.model.id_table import IdTable
from training.model.vocabulary import Vocabulary

LEAST_POSITIVES = 50
LEAST_ITEMS = 2
SPARE_ID_ROWS = 256
"""Id rows kept free at least for items that earn one between two batch trainings; the learner trains them."""

MOST_ID_ROWS = 1_000_000
"""Where nothing else is said: at 64 numbers a row, with both moments of Adam, under a gigabyte."""


@dataclass(frozen=True)
class TrainingSet:
    """Everything that a batch training reads.

    Attributes:
        table: Vocabulary and content of all items.
        users: Their sequences of positives.
        shown: Negatives: impressed and left alone.
        examples: How many examples were read.
    """

    table: ContentTable
    users: tuple[UserSequence, ...]
    shown: tuple[ExampleRow, ...]
    examples: int

    @property
    def data_from_ms(self) -> int:
        """Event time of the oldest interaction, ms since the epoch."""
        return min(int(user.times_ms[0]) for user in self.users)

    @property
    def data_to_ms(self) -> int:
        """Event time of the newest interaction, ms since the epoch."""
        return max(int(user.times_ms[-1]) for user in self.users)

    @property
    def newest_ms(self) -> int:
        """Event time of the newest example, of items left alone too, ms since the epoch."""
        return max([self.data_to_ms, *(row.at_ms for row in self.shown)])

    def before(self, at_ms: int) -> "TrainingSet":
        """The same with interactions and impressions before a time alone; users without any are left out."""
        users = tuple(part for user in self.users if len(part := user.before(at_ms)))
        shown = tuple(row for row in self.shown if row.at_ms < at_ms)
        return TrainingSet(self.table, users, shown, sum(len(user) for user in users) + len(shown))

    def fingerprint(self) -> str:
        """Names the interactions and their items: equal for the same ones, whatever is known of the items."""
        digest = hashlib.sha256(str(self.examples).encode())
        for item_id in self.table.vocabulary:
            digest.update(item_id.encode())
        for user in self.users:
            for column in (user.items, user.kinds, user.times_ms):
                digest.update(column.tobytes())
        return digest.hexdigest()

    def with_own_ids(self) -> "TrainingSet":
        """The same with id rows for the items that these users touched, and for no others."""
        return replace(self, table=self.table.with_ids(id_table(self.users, self.table.vocabulary)))


def read(archive_dir: Path, most_ids: int = MOST_ID_ROWS) -> TrainingSet:
    """Reads the archive; `most_ids` as `id_table`.

    Raises:
        NotEnoughData: too few items or interactions to train on.
    """
    archive = ArchiveReader(archive_dir)
    rows = example_rows(archive)
    return training_set(_contents(archive), rows, where=str(archive_dir), most_ids=most_ids)


def example_rows(archive: ArchiveReader) -> list[ExampleRow]:
    """All examples of the archive but cancellations."""
    columns = ["example_id", "user_id", "item_id", "at", "outcome", "quantity"]
    return [
        ExampleRow(
            row["example_id"],
            row["user_id"],
            row["item_id"],
            to_ms(row["at"]),
            EventKind(row["outcome"]) if row["outcome"] else None,
        )
        for row in archive.read("feedback", columns).to_pylist()
        if row["quantity"] >= 0
    ]


def training_set(
    contents: Sequence[ItemContent], rows: Sequence[ExampleRow], where: str, most_ids: int = MOST_ID_ROWS
) -> TrainingSet:
    """A training set of items and examples; examples of items that are not in the catalogue are left out.

    Raises:
        NotEnoughData: too few items or interactions; `where` is named in the message.
    """
    if len(contents) < LEAST_ITEMS:
        raise NotEnoughData(
            f"found {len(contents)} items in {where}; expected at least {LEAST_ITEMS}; load a catalogue first"
        )
    vocabulary = Vocabulary(content.item.item_id for content in contents)
    users = sequences(rows, vocabulary)
    positives = sum(len(user) for user in users)
    if positives < LEAST_POSITIVES:
        raise NotEnoughData(
            f"found {positives} interactions with known items in {where}, of {len(rows)} examples; expected at least "
            f"{LEAST_POSITIVES}; replay or collect events first, and check that their items are in the catalogue"
        )
    widths = [max((len(v) for v in vectors if v is not None), default=0) for vectors in _columns(contents)]
    ids = id_table(users, vocabulary, most_ids)
    table = ContentTable(ContentShape(widths[0], widths[1], ids.rows_in_all), vocabulary, ids)
    table.put(contents)
    shown = tuple(row for row in rows if row.outcome is None and row.item_id in vocabulary)
    return TrainingSet(table, tuple(users), shown, len(rows))


def id_table(users: Sequence[UserSequence], vocabulary: Vocabulary, most: int = MOST_ID_ROWS) -> IdTable:
    """Id rows for the items that users have touched, the one touched last the last to leave, and some to spare.

    Of an item that nobody has touched there is nothing to learn but its content.

    Args:
        users: What is learned.
        vocabulary: All items.
        most: Rows at most, spare ones among them; where more items were touched the rarest of them have none.
    """
    counts = item_counts(users, len(vocabulary))  # (N,)
    touched = np.flatnonzero(counts)
    rows = min(len(touched) + max(SPARE_ID_ROWS, len(touched) // 4), most)
    frequent = touched[np.argsort(-counts[touched], kind="stable")][:rows]
    lately = np.zeros(len(vocabulary), dtype=np.int64)
    for user in users:
        np.maximum.at(lately, user.items, user.times_ms)
    oldest_first = frequent[np.lexsort((frequent, lately[frequent]))]
    return IdTable(rows, [vocabulary.ids[index] for index in oldest_first.tolist()])


def _columns(contents: Sequence[ItemContent]) -> tuple[list[Any], list[Any]]:
    return [content.text for content in contents], [content.picture for content in contents]


def _contents(archive: ArchiveReader) -> list[ItemContent]:
    items = last_of_each(archive.read("items").to_pylist())
    vectors = last_of_each(archive.read("item_vectors").to_pylist())
    return [
        ItemContent(
            _item(row),
            text=_vector(vectors.get(item_id), "text"),
            picture=_vector(vectors.get(item_id), "picture"),
        )
        for item_id, row in sorted(items.items())
        if not row["deleted"]
    ]


def _vector(row: dict[str, Any] | None, name: str) -> Any:
    return vector_from_base64(row[name]) if row is not None and row[name] else None


def _item(row: dict[str, Any]) -> Item:
    return Item(
        item_id=ItemId(row["item_id"]),
        title=row["title"],
        description=row["description"] or "",
        category=row["category"] or "",
        brand=row["brand"] or "",
        price_cents=row["price_cents"],
        in_stock=bool(row["in_stock"]),
        attributes=dict(row["attributes"] or {}),
        picture=PictureKey(row["picture"]) if row["picture"] else None,
    )
