"""Any shop's data in two files: interactions, and (optionally) items.

What a row may hold stands in `event_columns` and `item_columns`; here both become the training set that every protocol
cuts.

Encoders come from the caller, so that the model reads the same vectors here as when it serves.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from contracts.errors import NotEnoughData
from contracts.ids import ItemId
from contracts.ports import Vectors
from training.data.archive_set import LEAST_ITEMS, TrainingSet
from training.data.event_columns import read_interactions
from training.data.interactions import Interactions, user_sequences
from training.data.item_columns import ItemRow, read_items
from training.data.rejected import Rejected
from training.loop import Progress
from training.model.content import ContentShape, ContentTable, ItemContent
from training.model.id_table import IdTable
from training.model.vocabulary import Vocabulary

LEAST_INTERACTIONS = 10
ENCODED_AT_ONCE = 1024


@dataclass(frozen=True)
class Encoders:
    """Texts to (N, D) vectors, zeros where no word is known; pictures' bytes to a vector each, None if unreadable."""

    text: Callable[[Sequence[str]], Vectors]
    picture: Callable[[Sequence[bytes]], Sequence[Vectors | None]]


@dataclass(frozen=True)
class Loaded:
    """What the files held.

    Attributes:
        training_set: All items and all users.
        log: The interactions as columns, ratings among them.
        remarks: What was left out or is worth knowing, one line each.
    """

    training_set: TrainingSet
    log: Interactions
    remarks: tuple[str, ...]


def read_two_files(events: Path, items: Path | None, encoders: Encoders, progress: Progress) -> Loaded:
    """Reads both files.

    Items of the items file that nobody touched are in the vocabulary and are ranked too; items that the file lacks have
    an id alone.

    Args:
        events: The interactions.
        items: The items; None to learn from behaviour alone.
        encoders: For the items' texts and pictures.
        progress: Called with what is read and the share done.

    Raises:
        BadFile: a file cannot be read or lacks a column.
        NotEnoughData: too few usable interactions or items.
    """
    progress("reading interactions", 0.0)
    rejected = Rejected(events.name)
    log = read_interactions(events, rejected)
    if len(log) < LEAST_INTERACTIONS:
        raise NotEnoughData(
            f"found {len(log)} usable interactions in {events}"
            + "".join(f"; {line}" for line in rejected.lines())
            + f"; expected at least {LEAST_INTERACTIONS}: one row an interaction with user and item"
        )
    progress("reading items", 0.2)
    described = Rejected(items.name if items else "items")
    rows = read_items(items, described) if items else []
    table = content_table(log.item_ids, rows, encoders, described, lambda done: progress("items", 0.3 + 0.6 * done))
    progress("sequences", 0.9)
    remarks = [*rejected.lines(), *described.lines()]
    if rows:
        undescribed = len(set(log.item_ids) - {row.item.item_id for row in rows})
        remarks += [f"{undescribed} items touched are not in {items}"] if undescribed else []
    return Loaded(as_training_set(log, table), log, tuple(remarks))


def as_training_set(log: Interactions, table: ContentTable) -> TrainingSet:
    """The users of a log over the items of a table, which has them all."""
    places = np.array([table.vocabulary.index(ItemId(item_id)) for item_id in log.item_ids], dtype=np.int64)
    return TrainingSet(table, user_sequences(log, places), (), len(log)).with_own_ids()


def content_table(
    touched: Sequence[str],
    rows: Sequence[ItemRow],
    encoders: Encoders,
    rejected: Rejected,
    told: Callable[[float], None],
) -> ContentTable:
    """All items by sorted id with their content encoded, none with an id row: `TrainingSet.with_own_ids` gives those.

    Args:
        touched: Ids of the interactions' items.
        rows: What is known of items; may lack some and have more.
        encoders: For texts and pictures without a vector of their own.
        rejected: Counts pictures that cannot be read.
        told: Called with the share done.

    Raises:
        NotEnoughData: fewer than two items.
    """
    ids = sorted({*touched, *(row.item.item_id for row in rows)})
    if len(ids) < LEAST_ITEMS:
        raise NotEnoughData(f"found {len(ids)} items; expected at least {LEAST_ITEMS} to rank one above another")
    contents = [
        content
        for start in range(0, len(rows), ENCODED_AT_ONCE)
        for content in _encoded(rows[start : start + ENCODED_AT_ONCE], encoders, rejected, told, start / len(rows))
    ]
    widths = [max((len(v) for v in vectors if v is not None), default=0) for vectors in _columns(contents)]
    table = ContentTable(ContentShape(widths[0], widths[1], 0), Vocabulary(map(ItemId, ids)), IdTable(0))
    table.put(contents)
    return table


def _columns(contents: Sequence[ItemContent]) -> tuple[list[Vectors | None], list[Vectors | None]]:
    return [content.text for content in contents], [content.picture for content in contents]


def _encoded(
    rows: Sequence[ItemRow],
    encoders: Encoders,
    rejected: Rejected,
    told: Callable[[float], None],
    done: float,
) -> list[ItemContent]:
    told(done)
    own = any("text" in row.vectors for row in rows)
    texts = [] if own else [row.text for row in rows]
    vectors = encoders.text(texts) if any(texts) else None
    pictures = _pictures(rows, encoders, rejected)
    made = []
    for place, row in enumerate(rows):
        text = row.vectors.get("text")
        if text is None and vectors is not None and vectors[place].any():
            text = vectors[place]
        made.append(ItemContent(row.item, text, row.vectors.get("picture", pictures.get(row.item.item_id))))
    return made


def _pictures(rows: Sequence[ItemRow], encoders: Encoders, rejected: Rejected) -> dict[ItemId, Vectors]:
    read: dict[ItemId, bytes] = {}
    for row in rows:
        if row.picture is not None and "picture" not in row.vectors:
            if row.picture.is_file():
                read[row.item.item_id] = row.picture.read_bytes()
            else:
                rejected.add("picture that is not there", 1)
    vectors = encoders.picture(list(read.values())) if read else []
    unread = sum(vector is None for vector in vectors)
    rejected.add("picture that cannot be decoded", 1, unread)
    return {item_id: vector for item_id, vector in zip(read, vectors, strict=True) if vector is not None}
