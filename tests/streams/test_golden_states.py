"""The bytes of stored states and of a changelog's record, kept: a worker of tomorrow must read what is stored today."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from contracts.errors import UnknownFormat
from streams.changelog import headers_of, record_of
from streams.memory import MemoryChangelog
from streams.state.item_features import ITEM_STATE_FORMAT, ItemFeatureState
from streams.state.user_state import USER_STATE_FORMAT, UserState
from streams.state_db import Record
from streams.tables import PartitionedTable
from tests.builders.servers import REPOSITORY
from tests.streams.doubles import ITEM_MARKS, USER_MARKS

GOLDEN = REPOSITORY / "tests" / "golden" / "streams"
CASES = [
    pytest.param("user_state", UserState, USER_MARKS, USER_STATE_FORMAT, id="a user's state"),
    pytest.param("item_state", ItemFeatureState, ITEM_MARKS, ITEM_STATE_FORMAT, id="an item's state"),
]


def stored(name: str) -> bytes:
    return (GOLDEN / f"{name}.msgpack").read_bytes()


@pytest.mark.parametrize(("name", "state", "marks", "number"), CASES)
def test_a_stored_state_decodes_and_encodes_to_itself(name: str, state: type[Any], marks: Any, number: int) -> None:
    raw = stored(name)
    partition, found = msgspec.msgpack.decode(raw, type=tuple[int, state])  # type: ignore[valid-type]
    assert msgspec.msgpack.encode((partition, found)) == raw
    empty = [field for field in found.__struct_fields__ if not getattr(found, field)]
    assert empty == [], "the stored state has a value in every field"


@pytest.mark.parametrize(("name", "state", "marks", "number"), CASES)
async def test_a_state_with_another_format_number_names_the_command_that_makes_it_anew(
    name: str, state: type[Any], marks: Any, number: int, tmp_path: Path
) -> None:
    partition, fields = msgspec.msgpack.decode(stored(name))
    assert fields[0] == number
    changelog = MemoryChangelog()
    other = msgspec.msgpack.encode((partition, [number + 1, *fields[1:]]))
    changelog.append_now(0, [Record(b"same", stored(name), 1), Record(b"other", other, 1)])
    table: PartitionedTable[Any] = PartitionedTable(name, state, tmp_path, changelog, marks)
    await table.open(0)
    assert table.get(0, "same") is not None
    with pytest.raises(UnknownFormat, match="run `millstream rebuild`"):
        table.get(0, "other")


def test_a_changelogs_record_decodes_and_encodes_to_itself() -> None:
    golden = json.loads((GOLDEN / "changelog_record.json").read_text())
    headers = [(name, bytes.fromhex(value)) for name, value in golden["headers"]]
    value = bytes.fromhex(golden["value"])
    message = SimpleNamespace(key=bytes.fromhex(golden["key"]), value=value, headers=headers, offset=0, topic="t")
    record = record_of(message)
    assert record == Record(b"ann", value, golden["mark"], golden["opened_ms"], golden["seen_ms"])
    assert headers_of(record) == headers
    message.headers = [("format", b"2"), headers[1]]
    with pytest.raises(UnknownFormat, match="run `millstream rebuild`"):
        record_of(message)
