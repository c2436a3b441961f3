"""The public logs: what becomes of their rows."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from contracts.clock import utc_now
from contracts.errors import BadFile, BadInput
from contracts.events import EventKind, Purchase
from millstream.sources.complete_journey import demo_log, readable_size
from millstream.sources.datasets import open_replay
from millstream.sources.journey_names import name_of
from millstream.sources.online_retail import NO_CUSTOMER, NOT_GOODS, OnlineRetail
from millstream.sources.rejects import Rejects
from tests.builders.servers import REPOSITORY

NOW = datetime(2026, 6, 1, tzinfo=UTC)
REAL = REPOSITORY.parent / "shared" / "data" / "online_retail" / "online_retail.parquet"
INVOICES = """InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A,WHITE HEART T-LIGHT HOLDER,6,2010-12-01 08:26:00,2.55,17850,United Kingdom
C536379,85123A,WHITE HEART T-LIGHT HOLDER,-1,2010-12-01 09:41:00,2.55,17850,United Kingdom
536380,POST,POSTAGE,1,2010-12-01 09:45:00,18.00,17850,France
536381,22139,RETRO TEA SET,2,2010-12-01 09:50:00,4.25,,United Kingdom
536382,22139,RETRO TEA SET,many,2010-12-01 09:55:00,4.25,17851,United Kingdom
"""


@pytest.fixture
def rejects(tmp_path: Path) -> Rejects:
    return Rejects(tmp_path / "rejects.jsonl")


@pytest.fixture
def invoices(tmp_path: Path) -> Path:
    path = tmp_path / "invoices.csv"
    path.write_text(INVOICES)
    return path


def test_a_cancellation_is_a_purchase_of_negative_quantity(invoices: Path, rejects: Rejects) -> None:
    bought, cancelled = OnlineRetail(invoices, rejects).events()
    assert isinstance(bought, Purchase)
    assert isinstance(cancelled, Purchase)
    assert (bought.quantity, cancelled.quantity) == (6, -1)
    assert bought.item_id == cancelled.item_id == "85123A"
    assert bought.at == datetime(2010, 12, 1, 8, 26, tzinfo=UTC)


def test_lines_without_a_customer_or_goods_are_skipped_and_counted_and_wrong_ones_refused(
    invoices: Path, rejects: Rejects
) -> None:
    list(OnlineRetail(invoices, rejects).events())
    assert rejects.skipped(NO_CUSTOMER) == 1
    assert rejects.skipped(NOT_GOODS) == 1
    assert rejects.count == 1


def test_the_catalogue_has_one_item_a_stock_code_with_a_title_and_a_price(invoices: Path, rejects: Rejects) -> None:
    items = {item.item_id: item for item in OnlineRetail(invoices, rejects).items()}
    assert set(items) == {"85123A", "22139"}
    assert items["85123A"].title == "White Heart T-Light Holder"
    assert items["85123A"].price_cents == 255


def test_a_file_without_the_log_s_columns_is_refused_with_their_names(tmp_path: Path, rejects: Rejects) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(BadFile, match="InvoiceNo"):
        OnlineRetail(tmp_path / "other.csv", rejects)


@pytest.mark.skipif(not REAL.exists(), reason="no ../shared/data/online_retail beside the checkout")
def test_the_real_log_is_read_whole(rejects: Rejects) -> None:
    log = OnlineRetail(REAL, rejects)
    events = sum(1 for _ in log.events())
    assert rejects.skipped(NO_CUSTOMER) == 135_080
    assert events + 135_080 + rejects.skipped(NOT_GOODS) + rejects.count == log.rows == 541_909


def test_a_name_that_is_no_data_set_is_refused_with_the_known_ones(rejects: Rejects) -> None:
    with pytest.raises(BadInput, match="complete-journey, online-retail"):
        open_replay("amazon", "", rejects)


def test_a_replay_of_the_demo_log_has_nothing_of_the_future(rejects: Rejects) -> None:
    replayed = open_replay("complete-journey", "", rejects)
    times = [event.at for event in replayed.events()]
    assert len(times) == replayed.count > 0
    assert max(times) <= utc_now()


def test_the_demo_log_is_the_same_for_the_same_arguments_and_ends_now() -> None:
    first = demo_log(NOW, items=60, households=20)
    assert first == demo_log(NOW, items=60, households=20)
    assert len(first.items) == 60
    assert len({event.user_id for event in first.history}) <= 20
    assert max(event.at for event in first.history) <= NOW < min(event.at for event in first.live)
    assert list(first.history) == sorted(first.history, key=lambda event: (event.at, event.event_id))


def test_invented_events_of_the_demo_log_are_labelled_as_simulated() -> None:
    history = demo_log(NOW, items=60, households=20).history
    prefixes = {event.kind: event.event_id.split("-")[0] for event in history}
    assert prefixes[EventKind.PURCHASE] == "cj"
    assert {prefixes[kind] for kind in prefixes if kind is not EventKind.PURCHASE} == {"sim"}


@pytest.mark.parametrize(
    ("raw", "shown"), [("12 OZ", "12 oz"), ("1 GA", "1 gal"), ("(600) 4 LB", "4 lb"), (None, ""), ("40 LB", "")]
)
def test_sizes_read_as_on_a_label_and_a_crate_s_weight_is_left_out(raw: str | None, shown: str) -> None:
    assert readable_size(raw) == shown


@pytest.mark.parametrize(
    ("category", "raw", "name"),
    [
        ("FLUID MILK PRODUCTS", "FLUID MILK WHITE ONLY", "White Milk"),
        ("BACON", "PREMIUM", "Premium Bacon"),
        ("APPLES", "APPLES GALA (BULK&BAG)", "Gala Apples"),
        ("SPICES & EXTRACTS", "SPICES & SEASONINGS", "Spices & Seasonings"),
    ],
)
def test_shorthand_becomes_a_name_that_a_shopper_says(category: str, raw: str, name: str) -> None:
    assert name_of(category, raw) == name
