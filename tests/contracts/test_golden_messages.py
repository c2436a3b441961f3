"""The bytes of every topic's messages, kept: what is on the wire today must be readable, and equal, tomorrow.

Those of `events` and `items` are in `test_golden_events.py`.
"""

import json
from pathlib import Path

import pytest
from pydantic import BaseModel

from contracts.deadletters import DeadLetter
from contracts.errors import UnknownFormat
from contracts.examples import TrainingExample
from contracts.heartbeats import Heartbeat
from contracts.interactions import ItemTouches
from contracts.rows import ItemFeatureRow, ItemVectors
from contracts.topics import (
    DEAD_LETTERS,
    EVENTS,
    FEEDBACK,
    HEARTBEATS,
    ITEM_FEATURES,
    ITEM_TOUCHES,
    ITEM_VECTORS,
    ITEMS,
    MODEL_VERSIONS,
    TOPICS,
    TRACES,
)
from contracts.traces import TraceStamp
from contracts.versions import PublishedVersion
from contracts.wire import decode, encode
from tests.builders.servers import REPOSITORY

OLDER = [
    path for path in sorted((REPOSITORY / "tests" / "golden" / "older").glob("*.json")) if path.stem != "impression"
]
GOLDEN = sorted((REPOSITORY / "tests" / "golden" / "messages").glob("*.json"))
MODELS: dict[str, type[BaseModel]] = {
    ITEM_TOUCHES.name: ItemTouches,
    ITEM_FEATURES.name: ItemFeatureRow,
    ITEM_VECTORS.name: ItemVectors,
    FEEDBACK.name: TrainingExample,
    MODEL_VERSIONS.name: PublishedVersion,
    TRACES.name: TraceStamp,
    HEARTBEATS.name: Heartbeat,
    DEAD_LETTERS.name: DeadLetter,
}


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_bytes_decode_and_encode_to_themselves(path: Path) -> None:
    raw = path.read_bytes().rstrip(b"\n")
    assert encode(decode(MODELS[path.stem.split(".")[0]], raw)) == raw


@pytest.mark.parametrize("path", OLDER, ids=lambda path: path.stem)
def test_a_message_from_before_it_bore_a_version_is_of_the_first(path: Path) -> None:
    fields = json.loads(path.read_bytes())
    assert "schema_version" not in fields
    read = json.loads(encode(decode(MODELS[path.stem], path.read_bytes())))
    assert read == {"schema_version": 1, **fields}


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_message_of_an_unknown_version_is_not_refused_but_stops_its_reader(name: str) -> None:
    fields = json.loads((REPOSITORY / "tests" / "golden" / "messages" / f"{name}.json").read_bytes())
    with pytest.raises(UnknownFormat, match="bring this process up to that code"):
        decode(MODELS[name], json.dumps(fields | {"schema_version": 99}).encode())


def test_every_topic_has_golden_bytes_of_the_model_that_the_wiring_map_names() -> None:
    names = {path.stem.split(".")[0] for path in GOLDEN}
    assert names | {EVENTS.name, ITEMS.name} == {topic.name for topic in TOPICS}
    for topic in TOPICS:
        if topic.name in MODELS:
            model = MODELS[topic.name]
            assert topic.value == f"{model.__module__}.{model.__name__}"
