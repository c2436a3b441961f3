"""The real-time features of the ranking heads: one list of names, computed by the same code in training and serving.

Counts enter as log(1 + n), times as log(1 + hours). A row that is missing is a row of zeros with its `known` flag at 0,
which training shows the heads too. C candidates, F features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.catalogue import Item
from contracts.events import EventKind
from contracts.features import ItemFeatures, UserFeatures
from contracts.ids import ItemId
from training.model.history import History

_MS_PER_HOUR = 3_600_000.0

_USER_COUNTS = (
    "event_count",
    "views_1h",
    "views_1d",
    "clicks_1h",
    "clicks_1d",
    "carts_1d",
    "purchases_1d",
    "purchases_7d",
)
_ITEM_COUNTS = (
    "impressions_7d", "views_1h", "views_1d", "views_7d", "clicks_1h", "clicks_1d", "clicks_7d",
    "carts_1d", "carts_7d", "purchases_1h", "purchases_1d", "purchases_7d", "trend_score",
)  # fmt: skip
_ITEM_RATES = ("click_rate_7d", "cart_rate_7d", "purchase_rate_7d")

USER_BLOCK = ("user_known", *(f"user_{name}" for name in _USER_COUNTS), "user_session_length", "user_idle_hours")
ITEM_BLOCK = ("item_known", *(f"item_{name}" for name in _ITEM_COUNTS + _ITEM_RATES), "item_idle_hours", "item_price")
CROSS_BLOCK = ("category_affinity", "brand_affinity", "seen_before", "seen_hours_ago", "in_session", "bought_before",
               "co_visits")  # fmt: skip

HEAD_FEATURES: tuple[str, ...] = USER_BLOCK + ITEM_BLOCK + CROSS_BLOCK
"""Names of the F features, in the order of the vector; written into each version's manifest."""


_CO_VISITS = HEAD_FEATURES.index("co_visits")


@dataclass(frozen=True)
class ItemFacts:
    """What the heads read of the catalogue: category, brand and price."""

    category: str = ""
    brand: str = ""
    price_cents: int | None = None

    @classmethod
    def of(cls, item: Item | None) -> "ItemFacts":
        """The facts of an item; empty ones for an item never described."""
        return cls() if item is None else cls(item.category, item.brand, item.price_cents)


@dataclass(frozen=True)
class Candidates:
    """C candidates with their facts and their feature rows (None where there is none), aligned."""

    items: Sequence[ItemId]
    facts: Sequence[ItemFacts]
    rows: Sequence[ItemFeatures | None]


def head_features(
    history: History, user: UserFeatures | None, candidates: Candidates, now_ms: int
) -> NDArray[np.float32]:
    """The features of one user's candidates, (C, F) float32 by `HEAD_FEATURES`."""
    count = len(candidates.items)
    return np.concatenate(
        [
            np.broadcast_to(user_block(user, now_ms), (count, len(USER_BLOCK))),
            item_block(candidates, now_ms),
            cross_block(history, user, candidates, now_ms),
        ],
        axis=1,
    )


def co_visits_of(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """The co-visits with the history that a block of features (C, F) holds, as counts and not as logs: (C,)."""
    near: NDArray[np.float32] = np.expm1(features[:, _CO_VISITS])
    return near


def user_block(user: UserFeatures | None, now_ms: int) -> NDArray[np.float32]:
    """The user's own features, (len(USER_BLOCK),) float32; zeros for a user without a row."""
    if user is None:
        return np.zeros(len(USER_BLOCK), dtype=np.float32)
    counts = [getattr(user, name) for name in _USER_COUNTS]
    logs = np.log1p(np.array([*counts, len(user.session_items), _hours(user.last_event_ms, now_ms)], dtype=np.float32))
    return np.concatenate([np.ones(1, dtype=np.float32), logs])


def item_block(candidates: Candidates, now_ms: int) -> NDArray[np.float32]:
    """The candidates' own features, (C, len(ITEM_BLOCK)) float32; zeros, price apart, for an item without a row."""
    block = np.zeros((len(candidates.items), len(ITEM_BLOCK)), dtype=np.float32)
    block[:, -1] = [facts.price_cents or 0 for facts in candidates.facts]
    for place, row in enumerate(candidates.rows):
        if row is not None:
            block[place, :-1] = (
                1.0, row.impressions_7d, row.views_1h, row.views_1d, row.views_7d, row.clicks_1h, row.clicks_1d,
                row.clicks_7d, row.carts_1d, row.carts_7d, row.purchases_1h, row.purchases_1d, row.purchases_7d,
                row.trend_score, row.click_rate_7d, row.cart_rate_7d, row.purchase_rate_7d,
                _hours(row.last_event_ms, now_ms),
            )  # fmt: skip
    logs = np.r_[1 : 1 + len(_ITEM_COUNTS), block.shape[1] - 2, block.shape[1] - 1]
    block[:, logs] = np.log1p(np.maximum(block[:, logs], 0.0))
    return block


def cross_block(
    history: History, user: UserFeatures | None, candidates: Candidates, now_ms: int
) -> NDArray[np.float32]:
    """What joins user and candidate: affinities, earlier interactions, co-visits; (C, len(CROSS_BLOCK)) float32."""
    block = np.zeros((len(candidates.items), len(CROSS_BLOCK)), dtype=np.float32)
    last_seen_ms = dict(zip(history.items, history.times_ms, strict=True))
    bought = {item for item, kind in zip(history.items, history.kinds, strict=True) if kind == EventKind.PURCHASE}
    session: set[str] = set()
    if user is not None:
        bought.update(ItemId(item) for item in user.purchased_items)
        session.update(user.session_items)
        _fill_affinities(block, user, candidates.facts)
    recency = recency_weights(history)
    for place, (item, row) in enumerate(zip(candidates.items, candidates.rows, strict=True)):
        seen_ms = last_seen_ms.get(item)
        if seen_ms is not None:
            block[place, 2] = 1.0
            block[place, 3] = np.log1p(_hours(seen_ms, now_ms))
        block[place, 4] = item in session
        block[place, 5] = item in bought
        if row is not None and recency:
            co_visits = zip(row.co_visit_items, row.co_visit_weights, strict=True)
            block[place, 6] = sum(weight * recency[other] for other, weight in co_visits if other in recency)
    block[:, 6] = np.log1p(block[:, 6])
    return block


def recency_weights(history: History) -> dict[str, float]:
    """Weight of each item of the history in co-visit sums: 0.9 to the power of its place from the newest."""
    newest = len(history.items) - 1
    return {item: 0.9 ** (newest - place) for place, item in enumerate(history.items)}


def _fill_affinities(block: NDArray[np.float32], user: UserFeatures, facts: Sequence[ItemFacts]) -> None:
    categories = _shares(user.category_names, user.category_weights)
    brands = _shares(user.brand_names, user.brand_weights)
    block[:, 0] = [categories.get(fact.category, 0.0) for fact in facts]
    block[:, 1] = [brands.get(fact.brand, 0.0) for fact in facts]


def _shares(names: Sequence[str], weights: Sequence[float]) -> dict[str, float]:
    total = sum(weights)
    return {name: weight / total for name, weight in zip(names, weights, strict=True)} if total > 0 else {}


def _hours(then_ms: int, now_ms: int) -> float:
    return max(0.0, (now_ms - then_ms) / _MS_PER_HOUR) if then_ms else 0.0
