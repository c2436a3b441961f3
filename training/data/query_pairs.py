"""Pairs of a query and an item: from searches and what followed them, and made up from the items' own words.

A title is what shoppers might type to find its item, so that a shop without any log has queries too; of ours words are
dropped at random, since shoppers type few of them. P pairs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from contracts.catalogue import Item
from contracts.clock import to_ms
from contracts.ids import ItemId, UserId
from contracts.ports import Vectors
from feature_repo.archive import ArchiveReader
from training.model.content import ContentTable
from training.model.query_tower import QueryTokens, SearchQuery

MOST_WORDS = 5
"""Words of a made-up query: from 1 to so many of the item's, in the item's order."""

PICTURE_SHARE = 0.5
"""Share of the items with a picture whose made-up query has it; half of these have no text."""

Encode = Callable[[Sequence[str]], Vectors]
"""A text encoder: P texts to (P, Dt) float32."""


@dataclass(frozen=True)
class QueryPairs:
    """Queries, and for each the index of an item that answered it, (P,) int64."""

    queries: QueryTokens
    items: Tensor

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True)
class Searched:
    """A search that a click, a cart or a purchase of an item followed."""

    text: str
    item_id: ItemId
    user_id: UserId
    at_ms: int


def searched(archive_dir: Path) -> list[Searched]:
    """The archive's searches by text with each item that was touched in answer to them, oldest first.

    A search and the answer that it got bear one request id; the outcome bears it too, by the join of attribution.
    """
    archive = ArchiveReader(archive_dir)
    events = archive.read("events", ["event_id", "kind", "at", "request_id", "text"]).to_pylist()
    texts = {
        row["request_id"]: row["text"].strip()
        for row in events
        if row["kind"] == "search" and row["request_id"] and (row["text"] or "").strip()
    }
    columns = ["example_id", "user_id", "item_id", "at", "outcome", "quantity", "request_id"]
    return [
        Searched(texts[row["request_id"]], ItemId(row["item_id"]), UserId(row["user_id"]), to_ms(row["at"]))
        for row in archive.read("feedback", columns).to_pylist()
        if row["outcome"] and row["quantity"] >= 0 and row["request_id"] in texts
    ]


def pairs_of(
    found: Sequence[Searched],
    table: ContentTable,
    encode: Encode,
    width: int,
    user_of: Callable[[Searched], Vectors | None] = lambda pair: None,
) -> QueryPairs:
    """Searches as pairs; those whose item the table lacks are left out.

    Args:
        found: From `searched`.
        table: Content of all items.
        encode: The text encoder that the items were encoded with.
        width: D.
        user_of: The user's vector (D,) as of just before the search; None to learn from the words alone.
    """
    known = [(pair, index) for pair in found if (index := table.vocabulary.index(pair.item_id)) is not None]
    texts = encode([pair.text for pair, _ in known])  # (P, Dt)
    queries = [SearchQuery(text, None, user_of(pair)) for (pair, _), text in zip(known, texts, strict=True)]
    return _paired(queries, [index for _, index in known], table, width)


def made_up_pairs(table: ContentTable, encode: Encode, width: int, rng: np.random.Generator) -> QueryPairs:
    """One query an item, of its own words, its picture, or both."""
    described = [
        (index, item) for index, item_id in enumerate(table.vocabulary.ids) if (item := table.item(item_id)) is not None
    ]
    texts = encode([made_up_query(item, rng) for _, item in described])  # (P, Dt)
    indices = np.array([index for index, _ in described], dtype=np.int64)
    content = table.tokens(indices)
    has_picture = content.present[:, 1].numpy()
    chance = rng.random(len(indices))
    queries = [
        SearchQuery(
            None if has_picture[row] and chance[row] < PICTURE_SHARE / 2 else texts[row],
            content.picture[row].numpy() if has_picture[row] and chance[row] < PICTURE_SHARE else None,
        )
        for row in range(len(indices))
    ]
    return _paired(queries, indices.tolist(), table, width)


def made_up_query(item: Item, rng: np.random.Generator) -> str:
    """A few words of an item's title, brand and category: each word once, in their order, the others dropped."""
    words = list(dict.fromkeys(f"{item.category} {item.brand} {item.title}".split()))
    count = min(len(words), int(rng.integers(1, MOST_WORDS + 1)))
    kept = np.sort(rng.choice(len(words), count, replace=False))
    return " ".join(words[place] for place in kept.tolist())


def _paired(queries: Sequence[SearchQuery], indices: Sequence[int], table: ContentTable, width: int) -> QueryPairs:
    return QueryPairs(QueryTokens.of(queries, table.shape, width), torch.tensor(indices, dtype=torch.int64))
