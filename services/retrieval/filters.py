"""Which candidates may be shown: one rule a reason, the first that holds wins. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from contracts.catalogue import Item
from contracts.ids import ItemId
from services.retrieval.candidates import Merged


class Dropped(StrEnum):
    """Why a candidate is left out."""

    UNKNOWN = "unknown"
    EXCLUDED = "excluded"
    BOUGHT = "bought"
    OUT_OF_STOCK = "out_of_stock"
    CATEGORY = "category"


@dataclass(frozen=True)
class Rules:
    """What one request leaves out.

    Attributes:
        excluded: Named by the request, and the items of the moment themselves.
        bought: What the user has bought; empty when the request wants it back.
        in_stock_only: Leave out what is out of stock.
        category: The only category wanted; None for all.
    """

    excluded: frozenset[ItemId] = frozenset()
    bought: frozenset[ItemId] = frozenset()
    in_stock_only: bool = True
    category: str | None = None

    def refusal(self, item_id: ItemId, item: Item | None) -> Dropped | None:
        """Why the item is left out, None when it may be shown. A deleted item is unknown (`item` is None)."""
        if item is None:
            return Dropped.UNKNOWN
        if item_id in self.excluded:
            return Dropped.EXCLUDED
        if item_id in self.bought:
            return Dropped.BOUGHT
        if self.in_stock_only and not item.in_stock:
            return Dropped.OUT_OF_STOCK
        if self.category is not None and item.category != self.category:
            return Dropped.CATEGORY
        return None


def keep(
    candidates: Iterable[Merged], rules: Rules, item_of: Callable[[ItemId], Item | None]
) -> tuple[list[Merged], Counter[Dropped]]:
    """The candidates that may be shown, in their order, and how many were left out by reason."""
    kept: list[Merged] = []
    dropped: Counter[Dropped] = Counter()
    for candidate in candidates:
        refusal = rules.refusal(candidate.item_id, item_of(candidate.item_id))
        if refusal is None:
            kept.append(candidate)
        else:
            dropped[refusal] += 1
    return kept, dropped
