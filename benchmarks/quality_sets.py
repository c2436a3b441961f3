"""Public data sets as the two files (or session files) that `millstream train` reads; nothing here knows a model."""

import csv
import gzip
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from millstream.sources.complete_journey import demo_log

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@dataclass(frozen=True)
class QualitySet:
    """Files of a set, the protocol that its published tables use, and what was done to the source."""

    events: Path
    protocol: str
    items: Path | None = None
    test_events: Path | None = None
    cut: str | None = None
    remark: str = ""


def beauty(folder: Path) -> QualitySet:
    """Amazon Beauty 2014, 5-core, behaviour alone: users' items in order, without times."""
    events = folder / "events.csv"
    with gzip.open(SHARED / "amazon_beauty" / "Beauty.txt.gz", "rt") as lines, events.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("user", "item"))
        for line in lines:
            user, *items = line.split()
            rows.writerows((user, item) for item in items)
    return QualitySet(events, "leave-one-out", remark="Amazon Beauty 2014, 5-core, behaviour alone")


def beauty_titles(folder: Path) -> QualitySet:
    """The same with the items' titles."""
    source = SHARED / "amazon_beauty" / "Beauty_items.tsv.gz"
    titles = pd.read_csv(source, sep="\t", dtype=str, quoting=csv.QUOTE_NONE)
    items = folder / "items.csv"
    titles[["item_id", "title"]].to_csv(items, index=False)
    made = beauty(folder)
    return QualitySet(made.events, made.protocol, items, remark="Amazon Beauty 2014, 5-core, with titles")


def retailrocket(folder: Path) -> QualitySet:
    """RetailRocket click sessions, the published split."""
    source = SHARED / "retailrocket_sessions"
    return QualitySet(
        source / "retailrocket_train.txt.gz",
        "sessions",
        test_events=source / "retailrocket_test.txt.gz",
        remark="RetailRocket click sessions, published split",
    )


def online_retail(folder: Path) -> QualitySet:
    """UCI Online Retail: purchases of known customers, without cancellations, of five-digit stock codes."""
    table = pq.read_table(SHARED / "online_retail" / "online_retail.parquet").to_pandas()
    goods = table.StockCode.astype(str).str.match(r"^\d{5}")
    kept = table[
        goods & table.CustomerID.notna() & (table.Quantity > 0) & ~table.InvoiceNo.astype(str).str.startswith("C")
    ]
    events = folder / "events.parquet"
    codes = kept.StockCode.astype(str).str.upper()
    pd.DataFrame(
        {
            "user": kept.CustomerID.astype("int64").astype(str),
            "item": codes,
            "time": kept.InvoiceDate,
            "kind": "purchase",
        }
    ).to_parquet(events, index=False)
    items = folder / "items.parquet"
    described = pd.DataFrame(
        {"item": codes, "title": kept.Description.str.strip().str.title(), "price": kept.UnitPrice}
    )
    described.groupby("item", as_index=False).agg(
        title=("title", lambda titles: titles.mode().iloc[0]), price=("price", "median")
    ).to_parquet(items, index=False)
    return QualitySet(events, "time-split", items, cut="2011-11-11", remark="UCI Online Retail, purchases")


def complete_journey(folder: Path) -> QualitySet:
    """The Complete Journey as the demo replays it: a simulated log on real shopping patterns, packaged with it."""
    log = demo_log(datetime(2026, 1, 1, tzinfo=UTC))
    events, items = folder / "events.parquet", folder / "items.parquet"
    pd.DataFrame(
        [
            (event.user_id, event.item_id, event.at, event.kind.value)
            for event in log.history
            if hasattr(event, "item_id")
        ],
        columns=["user", "item", "time", "kind"],
    ).to_parquet(events, index=False)
    pd.DataFrame(
        [
            {
                "item": item.item_id,
                "title": item.title,
                "description": item.description,
                "category": item.category,
                "brand": item.brand,
                "price_cents": item.price_cents,
                **item.attributes,
            }
            for item in log.items
        ]
    ).to_parquet(items, index=False)
    return QualitySet(events, "time-split", items, remark="Complete Journey, as the demo replays it (simulated)")


SETS: dict[str, Callable[[Path], QualitySet]] = {
    "beauty": beauty,
    "beauty-titles": beauty_titles,
    "retailrocket": retailrocket,
    "online-retail": online_retail,
    "complete-journey": complete_journey,
}
