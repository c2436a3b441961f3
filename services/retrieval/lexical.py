"""A small inverted index over titles, brands and categories: exact words and their beginnings.

The second source of a text search: it finds a brand or a number that the text encoder blurs, and it answers alone
while the encoders or the vector index are away. Score: sum over matched words of ln(1 + N / n), n of N items having it.
"""

import math
import re
import threading

from contracts.catalogue import Item
from contracts.ids import ItemId
from services.retrieval.candidates import Candidate

_WORD = re.compile(r"[^\W_]+", re.UNICODE)
_PREFIX_WEIGHT = 0.5
_MIN_PREFIX = 3


def words(text: str) -> list[str]:
    """The words of a text in lower case, in order."""
    return _WORD.findall(text.casefold())


class LexicalIndex:
    """Words to items. Safe for one writer and many readers."""

    def __init__(self) -> None:
        self._items_of: dict[str, set[ItemId]] = {}
        self._words_of: dict[ItemId, frozenset[str]] = {}
        self._lock = threading.Lock()

    def put(self, item: Item) -> None:
        """Adds the item or replaces its words."""
        found = frozenset(words(f"{item.title} {item.brand} {item.category}"))
        with self._lock:
            self._forget(item.item_id)
            self._words_of[item.item_id] = found
            for word in found:
                self._items_of.setdefault(word, set()).add(item.item_id)

    def remove(self, item_id: ItemId) -> None:
        """Forgets the item; one that is not there is no error."""
        with self._lock:
            self._forget(item_id)

    def search(self, text: str, limit: int) -> list[Candidate]:
        """Items that share a word (or the beginning of one) with `text`, best first."""
        scores: dict[ItemId, float] = {}
        with self._lock:
            total = len(self._words_of)
            for asked in dict.fromkeys(words(text)):
                best: dict[ItemId, float] = {}
                for word, weight in self._matches(asked):
                    items = self._items_of[word]
                    score = weight * math.log(1 + total / len(items))
                    for item_id in items:
                        best[item_id] = max(best.get(item_id, 0.0), score)
                for item_id, score in best.items():
                    scores[item_id] = scores.get(item_id, 0.0) + score
        ordered = sorted(scores, key=lambda item_id: (-scores[item_id], item_id))
        return [Candidate(item_id, scores[item_id]) for item_id in ordered[:limit]]

    def _matches(self, asked: str) -> list[tuple[str, float]]:
        if asked in self._items_of:
            return [(asked, 1.0)]
        if len(asked) < _MIN_PREFIX:
            return []
        return [(word, _PREFIX_WEIGHT) for word in self._items_of if word.startswith(asked)]

    def _forget(self, item_id: ItemId) -> None:
        for word in self._words_of.pop(item_id, frozenset()):
            holders = self._items_of[word]
            holders.discard(item_id)
            if not holders:
                del self._items_of[word]
