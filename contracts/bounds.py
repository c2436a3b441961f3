"""The bounds of what comes in from outside, stated once: HTTP, files and topics refuse alike, and say the same.

They keep every message far below what a broker takes (1 MiB), every number within 64 bits and every time within what
each part can count; an id can stand in a URL, a log line and a page.
"""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, StringConstraints

_CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
_IN_ID, _NO_DOT = f"[^{_CONTROL}]", f"[^.{_CONTROL}]"

NO_CONTROL_CHARACTERS = f"^{_IN_ID}*$"
ID_PATTERN = rf"^({_NO_DOT}{_IN_ID}*|\.{_NO_DOT}{_IN_ID}*|\.\.{_IN_ID}+)$"

ID = StringConstraints(min_length=1, max_length=128, pattern=ID_PATTERN)
"""An id of the shop, as it spells it: any printable text but `.` and `..`, which no client sends as part of a path."""

WORD = StringConstraints(max_length=200, pattern=NO_CONTROL_CHARACTERS)
"""A name in a list: a category, a brand, an encoder."""

MOST_CENTS = 10**12
MOST_PIECES = 10**6
MOST_ATTRIBUTES = 100
MOST_ATTRIBUTE_CHARACTERS = 20_000
FIRST_YEAR = 1990

MOST_ITEM_TEXT = 11_000
"""Characters of an item's title, brand, category and description together, and of any text that is encoded."""

MOST_TEXT_AT_ONCE = 100_000
"""Characters that one request may have encoded."""


def _no_switch(number: object) -> object:
    if isinstance(number, bool):
        raise ValueError("expected a whole number")
    return number


_NUMBER = BeforeValidator(_no_switch)

Title = Annotated[str, Field(min_length=1, max_length=500)]
Description = Annotated[str, Field(max_length=10_000)]
SearchText = Annotated[str, Field(max_length=1000)]
Cents = Annotated[int, _NUMBER, Field(ge=0, le=MOST_CENTS)]
Pieces = Annotated[int, _NUMBER, Field(ge=1, le=MOST_PIECES)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


def _in_range(at: datetime) -> datetime:
    if at.year < FIRST_YEAR:
        raise ValueError(f"expected a time since {FIRST_YEAR}")
    try:
        return at.astimezone(UTC)
    except OverflowError as error:  # as the last hours of year 9999 in the west
        raise ValueError("expected a time that UTC has") from error


UtcDatetime = Annotated[AwareDatetime, AfterValidator(_in_range)]
"""An aware time since `FIRST_YEAR`, kept in UTC."""


def _pieces_or_back(pieces: int) -> int:
    if pieces == 0:
        raise ValueError("expected pieces bought, or below zero pieces taken back")
    return pieces


PiecesOrBack = Annotated[int, _NUMBER, Field(ge=-MOST_PIECES, le=MOST_PIECES), AfterValidator(_pieces_or_back)]


def _few_characters(attributes: dict[str, str]) -> dict[str, str]:
    characters = sum(len(name) + len(value) for name, value in attributes.items())
    if characters > MOST_ATTRIBUTE_CHARACTERS:
        raise ValueError(f"expected at most {MOST_ATTRIBUTE_CHARACTERS} characters in all attributes, not {characters}")
    return attributes


Attributes = Annotated[
    dict[Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=NO_CONTROL_CHARACTERS)], str],
    Field(max_length=MOST_ATTRIBUTES),
    AfterValidator(_few_characters),
]
"""Whatever else the shop knows of an item, as text by name."""
