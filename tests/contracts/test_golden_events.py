"""The bytes of every event kind, kept: what is on the wire today must be readable, and equal, tomorrow."""

from datetime import UTC, datetime

import pytest

from contracts.events import EventKind, Impression
from contracts.wire import decode_catalogue_event, decode_user_event, encode
from tests.builders.servers import REPOSITORY

GOLDEN = sorted((REPOSITORY / "tests" / "golden" / "events").glob("*.json"))
NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_bytes_decode_and_encode_to_themselves(path) -> None:  # type: ignore[no-untyped-def]
    raw = path.read_bytes().rstrip(b"\n")
    decode = decode_catalogue_event if path.stem.startswith("item_") else decode_user_event
    event = decode(raw, NOW)
    assert path.stem.startswith(event.kind)
    assert encode(event) == raw


def test_an_impression_of_before_the_served_row_was_noted_is_read_as_one_without() -> None:
    raw = (REPOSITORY / "tests" / "golden" / "older" / "impression.json").read_bytes()
    event = decode_user_event(raw, NOW)
    assert isinstance(event, Impression)
    assert event.features_event_count is None
    newest = decode_user_event((REPOSITORY / "tests" / "golden" / "events" / "impression.json").read_bytes(), NOW)
    assert event == newest.model_copy(update={"features_event_count": None})


def test_every_event_kind_has_golden_bytes() -> None:
    stems = {path.stem for path in GOLDEN}
    assert {kind.value for kind in EventKind} <= stems
