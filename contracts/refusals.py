"""What a refused input is told: the place, what was found, what was expected. One wording for HTTP, files and topics.

What was found is shown as JSON, never in a Python spelling, and cut.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from contracts.bounds import ID_PATTERN, NO_CONTROL_CHARACTERS

SHOWN_CHARACTERS = 80

_A_TIME = "a time such as 2026-03-01T12:00:00Z"
_AN_OBJECT = "an object"

_EXPECTED = {
    "missing": "a value",
    "extra_forbidden": "no such field",
    "string_type": "text",
    "string_too_short": "text that is not empty",
    "string_too_long": "at most {max_length} characters",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of fewer digits",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
    "too_long": "at most {max_length} entries",
    "too_short": "at least {min_length} entries",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": _AN_OBJECT,
    "model_type": _AN_OBJECT,
    "model_attributes_type": _AN_OBJECT,
    "timezone_aware": "a time with its time zone, such as 2026-03-01T12:00:00Z",
    "datetime_type": _A_TIME,
    "datetime_parsing": _A_TIME,
    "datetime_from_date_parsing": _A_TIME,
    "datetime_object_invalid": _A_TIME,
    "literal_error": "one of {expected}",
    "union_tag_invalid": "one of {expected_tags}",
    "union_tag_not_found": "a field 'kind'",
    "json_invalid": "JSON",
}
"""By the kind of the problem; `{...}` is of its context."""


def _of_pattern(pattern: str) -> str:
    if pattern == ID_PATTERN:
        return "printable text on one line, other than '.' and '..'"
    if pattern == NO_CONTROL_CHARACTERS:
        return "text on one line, without control characters"
    return f"text of the form {pattern}"


@dataclass(frozen=True)
class Refusal:
    """One thing that does not fit.

    Attributes:
        field: Where, with dots; empty for the whole.
        found: What stood there, as JSON, cut.
        expected: What would have fitted.
    """

    field: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"field {self.field or '(message)'}: found {self.found}; expected {self.expected}"


def first_refusal(error: ValidationError, tags: frozenset[str] = frozenset()) -> str:
    """The first thing that did not fit, in words; as `phrased`."""
    return str(phrased(error.errors(include_url=False)[0], tags))


def phrased(problem: ErrorDetails | Mapping[str, Any], tags: frozenset[str] = frozenset()) -> Refusal:
    """One of a validation's problems.

    Args:
        problem: As pydantic tells it.
        tags: Names of the kinds of a union, which are no part of a place.
    """
    kind = problem["type"]
    place = list(problem["loc"])
    if place and str(place[0]) in tags:
        place = place[1:]
    found = "nothing" if kind in ("missing", "union_tag_not_found") else shown(problem["input"])
    return Refusal(".".join(map(str, place)), found, _expected(problem))


def _expected(problem: ErrorDetails | Mapping[str, Any]) -> str:
    kind, ctx = problem["type"], problem.get("ctx", {})
    if kind == "value_error":  # one of our own
        return str(ctx["error"]).removeprefix("expected ")
    if kind == "string_pattern_mismatch":
        return _of_pattern(ctx["pattern"])
    words = _EXPECTED.get(kind)
    return problem["msg"] if words is None else words.format_map(ctx)


def shown(value: object) -> str:
    """A value as JSON, cut."""
    try:
        text = orjson.dumps(value, default=str).decode()
    except (TypeError, ValueError):  # beyond JSON, as a number of more than 64 bits
        text = str(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."
