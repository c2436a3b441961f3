"""The UCI Online Retail log (id 352, CC BY 4.0): the invoice lines of a gift shop, 2010-12-01 to 2011-12-09.

A cancellation (invoice C...) becomes a purchase of negative quantity. Lines without a customer are nobody's history:
they are skipped and counted. The times are the shop's wall clock, which the file does not place; they are read as UTC.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contracts.catalogue import Item
from contracts.errors import BadFile
from contracts.events import Interaction, Purchase
from contracts.ids import EventId, ItemId, SessionId, UserId
from contracts.refusals import first_refusal
from millstream.sources.rejects import Rejects
from millstream.sources.rows import count_rows, read_rows

REMARK = "UCI Online Retail (CC BY 4.0): real invoices of a gift shop, with their real times of 2010 and 2011"
COLUMNS = (
    "InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country",
)  # fmt: skip
NO_CUSTOMER = "no customer"
NOT_GOODS = "no goods (postage, fees, samples, corrections)"
_REQUIRED = frozenset(("InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice"))


class OnlineRetail:
    """The log of one file. `rows` is the number of invoice lines.

    Raises:
        BadFile: the file cannot be read, or lacks a column.
    """

    def __init__(self, path: Path, rejects: Rejects):
        self._path = path
        self._rejects = rejects
        first = next(iter(read_rows(path)), None)
        missing = sorted(_REQUIRED - set(first.fields)) if first is not None else sorted(_REQUIRED)
        if missing:
            raise BadFile(f"found no column {', '.join(missing)} in {path}; expected: {', '.join(COLUMNS)}")
        self.rows = count_rows(path)

    def events(self) -> Iterator[Interaction]:
        """One purchase a line with a customer, in the file's order."""
        for row in read_rows(self._path):
            fields = row.fields
            if fields.get("CustomerID") in (None, ""):
                self._rejects.skip(NO_CUSTOMER)
            elif not is_goods(str(fields.get("StockCode", ""))):
                self._rejects.skip(NOT_GOODS)
            else:
                try:
                    yield purchase(row.line, fields)
                except (KeyError, ValueError) as error:  # ValidationError is a ValueError.
                    text = first_refusal(error) if isinstance(error, ValidationError) else repr(error)
                    self._rejects.refuse(row.line, text, fields)

    def items(self) -> list[Item]:
        """The catalogue: one item a stock code, with its commonest description and its median price."""
        titles: dict[str, Counter[str]] = {}
        prices: dict[str, list[float]] = {}
        for row in read_rows(self._path):
            code, text = str(row.fields.get("StockCode", "")), str(row.fields.get("Description", "")).strip()
            price = _number(row.fields.get("UnitPrice"))
            if is_goods(code) and text and price > 0:
                titles.setdefault(code.upper(), Counter())[text] += 1
                prices.setdefault(code.upper(), []).append(price)
        return [
            Item(
                item_id=ItemId(code),
                title=counted.most_common(1)[0][0].title()[:500],
                price_cents=round(sorted(prices[code])[len(prices[code]) // 2] * 100),
            )
            for code, counted in sorted(titles.items())
        ]


def is_goods(code: str) -> bool:
    """Whether a stock code is of goods: five digits, maybe with letters; POST, D, BANK CHARGES and the like are not."""
    return code[:5].isdigit() and len(code) >= 5


def purchase(line: int, fields: dict[str, Any]) -> Purchase:
    """The purchase of an invoice line. Raises ValueError or KeyError when a cell is wrong."""
    invoice, at = str(fields["InvoiceNo"]), fields["InvoiceDate"]
    at = at if isinstance(at, datetime) else datetime.fromisoformat(str(at))
    quantity = int(fields["Quantity"])
    if invoice.startswith("C") and quantity > 0:
        raise ValueError(f"found a cancellation of {quantity}; expected a quantity below zero")
    return Purchase(
        event_id=EventId(f"uci-{invoice}-{line}"),
        at=at if at.tzinfo else at.replace(tzinfo=UTC),
        user_id=UserId(str(int(float(fields["CustomerID"])))),
        session_id=SessionId(invoice),
        item_id=ItemId(str(fields["StockCode"]).upper()),
        quantity=quantity,
        price_cents=round(float(fields["UnitPrice"]) * 100),
    )


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return 0.0
