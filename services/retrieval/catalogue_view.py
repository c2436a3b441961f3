"""The catalogue in memory: items, their features and content vectors, as the log tells them.

Features and vectors are kept of the catalogue's items alone, and of others as `EarlyRows` does. One thread writes (the
tail), many read. Single reads are plain dictionary look-ups; what must be iterated is kept as immutable tuples that the
writer replaces (`refresh`), so that a reader never sees a change half done.
"""

import math
import threading
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from contracts.catalogue import Item
from contracts.features import ItemFeatures
from contracts.ids import ItemId
from contracts.ports import Vectors
from services.retrieval.early_rows import EarlyRows
from services.retrieval.lexical import LexicalIndex


@dataclass(frozen=True)
class Content:
    """An item's content vectors, each of shape (D,) and unit length; None where it has none."""

    text: Vectors | None
    picture: Vectors | None


class CatalogueView:
    """What the gateway knows of every item.

    Args:
        trend_half_life_s: Half-life of the trend score, as the item features are computed with it.
    """

    def __init__(self, trend_half_life_s: float):
        self._half_life_ms = trend_half_life_s * 1000
        self._items: dict[ItemId, Item] = {}
        self._features: dict[ItemId, ItemFeatures] = {}
        self._followers: dict[ItemId, dict[ItemId, float]] = {}
        self._content: dict[ItemId, Content] = {}
        self._early_features: EarlyRows[ItemFeatures] = EarlyRows(newer=_knows_as_much)
        self._early_content: EarlyRows[Content] = EarlyRows()
        self._popular: tuple[ItemId, ...] = ()
        self._by_id: tuple[ItemId, ...] = ()
        self._popular_in: dict[str, tuple[ItemId, ...]] = {}
        self._dirty = False
        self._lock = threading.Lock()
        self.lexical = LexicalIndex()

    def put(self, item: Item) -> None:
        """Adds the item or replaces it."""
        with self._lock:
            self._items[item.item_id] = item
            features, content = self._early_features.take(item.item_id), self._early_content.take(item.item_id)
            if features is not None:
                self._keep_features(item.item_id, features)
            if content is not None:
                self._content[item.item_id] = content
            self._dirty = True
        self.lexical.put(item)

    def remove(self, item_id: ItemId) -> None:
        """Forgets the item and all that is known of it; one that is not there is no error."""
        with self._lock:
            self._items.pop(item_id, None)
            self._forget_features(item_id)
            self._forget_content(item_id)
            self._dirty = True
        self.lexical.remove(item_id)

    def put_features(self, item_id: ItemId, features: ItemFeatures | None) -> None:
        """Replaces the item's features, which may come before the item itself; None forgets them.

        A row that lacks events of the one before is passed over: a worker that has lost the item may still send one.
        """
        with self._lock:
            if features is None:
                self._forget_features(item_id)
            elif item_id in self._items:
                held = self._features.get(item_id)
                if held is not None and not _knows_as_much(held, features):
                    return
                self._keep_features(item_id, features)
            else:
                self._early_features.put(item_id, features)
                return
            self._dirty = True

    def put_content(self, item_id: ItemId, content: Content | None) -> None:
        """Replaces the item's content vectors, which may come before the item itself; None forgets them."""
        with self._lock:
            if content is None:
                self._forget_content(item_id)
            elif item_id in self._items:
                self._content[item_id] = content
            else:
                self._early_content.put(item_id, content)

    def settle(self) -> None:
        """Everything that was in the log has been applied: what still has no item is not waited for."""
        with self._lock:
            self._early_features.settle()
            self._early_content.settle()

    def refresh(self) -> None:
        """Orders the items anew if anything changed since the last call; the writer calls it now and then."""
        with self._lock:
            if not self._dirty:
                return
            self._dirty = False
            items, features = dict(self._items), dict(self._features)
        order = sorted(items, key=lambda item_id: (-self._trend(features.get(item_id)), item_id))
        by_category: dict[str, list[ItemId]] = {}
        for item_id in order:
            by_category.setdefault(items[item_id].category, []).append(item_id)
        self._popular_in = {category: tuple(members) for category, members in by_category.items()}
        self._popular = tuple(order)
        if len(self._by_id) != len(items) or any(item_id not in items for item_id in self._by_id):
            self._by_id = tuple(sorted(items))  # ids change seldom, features at each refresh

    def item(self, item_id: ItemId) -> Item | None:
        """The item; None when it is unknown or deleted."""
        return self._items.get(item_id)

    def features(self, item_id: ItemId) -> ItemFeatures | None:
        """The item's features; None when no interaction has reached it."""
        return self._features.get(item_id)

    def followers(self, item_id: ItemId) -> dict[ItemId, float]:
        """Items that were touched after the item in a session, with the weight that it has in their rows."""
        with self._lock:
            return dict(self._followers.get(item_id, {}))

    def content(self, item_id: ItemId) -> Content | None:
        """The item's content vectors; None when they are not computed yet."""
        return self._content.get(item_id)

    def popular(self, category: str | None = None) -> Sequence[ItemId]:
        """All items (of the category), what is trending first, items without interactions behind in order of id."""
        return self._popular if category is None else self._popular_in.get(category, ())

    def after(self, item_id: str, limit: int, category: str | None = None) -> list[Item]:
        """Items whose ids come after this one, in order of id, which no click changes.

        Args:
            item_id: The last one that the caller has; empty to begin.
            limit: The most items.
            category: Only of this one.
        """
        ids = self._by_id
        rest = (self._items.get(ids[place]) for place in range(bisect_right(ids, item_id), len(ids)))
        return list(islice((item for item in rest if item and category in (None, item.category)), limit))

    def is_trending(self, item_id: ItemId) -> bool:
        """Whether interactions have reached the item lately."""
        features = self._features.get(item_id)
        return features is not None and features.trend_score > 0

    def categories(self) -> dict[str, int]:
        """Number of items by category."""
        return {category: len(members) for category, members in sorted(self._popular_in.items())}

    def with_content(self) -> list[ItemId]:
        """Ids of the items that have content vectors, at this moment."""
        with self._lock:
            return list(self._content)

    def content_count(self) -> int:
        """How many items have content vectors."""
        return len(self._content)

    def __len__(self) -> int:
        return len(self._items)

    def _keep_features(self, item_id: ItemId, features: ItemFeatures) -> None:
        self._forget_neighbours(item_id)
        for before, weight in zip(features.co_visit_items, features.co_visit_weights, strict=True):
            self._followers.setdefault(ItemId(before), {})[item_id] = weight
        self._features[item_id] = features

    def _forget_features(self, item_id: ItemId) -> None:
        self._forget_neighbours(item_id)
        self._features.pop(item_id, None)
        self._early_features.take(item_id)

    def _forget_content(self, item_id: ItemId) -> None:
        self._content.pop(item_id, None)
        self._early_content.take(item_id)

    def _forget_neighbours(self, item_id: ItemId) -> None:
        features = self._features.get(item_id)
        for before in features.co_visit_items if features is not None else ():
            followers = self._followers.get(ItemId(before), {})
            followers.pop(item_id, None)
            if not followers:
                self._followers.pop(ItemId(before), None)

    def _trend(self, features: ItemFeatures | None) -> float:
        """Logarithm (base 2) of the trend score decayed to one common moment.

        score x 2^(-(now - last) / half_life) has the same order at every `now`, so `now` can be left out.
        """
        if features is None or features.trend_score <= 0:
            return -math.inf
        return math.log2(features.trend_score) + features.last_event_ms / self._half_life_ms


def _knows_as_much(held: ItemFeatures, row: ItemFeatures) -> bool:
    return row.last_event_ms >= held.last_event_ms
