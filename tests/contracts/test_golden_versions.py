"""The bytes of a version's record and of a checkpoint's description, kept: what lies on a disk today loads tomorrow."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch

from contracts.errors import BadCheckpoint, UnknownFormat
from contracts.topics import MODEL_VERSIONS
from contracts.versions import PublishedVersion
from contracts.wire import decode, encode
from tests.builders import shop
from tests.builders.learner_loop import Loop
from tests.builders.servers import REPOSITORY
from training.model import checkpoint
from training.model.checkpoint import Checkpoint
from training.model.features import ItemFacts
from training.snapshot import Snapshot

GOLDEN = REPOSITORY / "tests" / "golden" / "versions"
HEADER = GOLDEN / "checkpoint_2.json"


def tiny() -> Checkpoint:
    torch.manual_seed(0)
    table = shop.table(shop.contents(3))
    model = shop.model(table)
    facts = tuple(ItemFacts.of(table.item(item_id)) for item_id in table.vocabulary)
    return Checkpoint(model, table.vocabulary, facts, Snapshot.of(model, table).vectors.numpy(), table.ids)


def header(directory: Path) -> dict[str, Any]:
    """The description, and the names, types and shapes of the tensors: all of a checkpoint but its numbers."""
    raw = (directory / checkpoint.WEIGHTS).read_bytes()
    tensors = json.loads(raw[8 : 8 + struct.unpack("<Q", raw[:8])[0]])
    return {
        "description": json.loads((directory / checkpoint.DESCRIPTION).read_text()),
        "tensors": {name: [each["dtype"], each["shape"]] for name, each in sorted(tensors.items())},
    }


def test_the_golden_record_decodes_and_encodes_to_itself() -> None:
    raw = (GOLDEN / "manifest_2.json").read_bytes().rstrip(b"\n")
    assert encode(decode(PublishedVersion, raw)) == raw


def test_a_record_of_the_format_before_is_read() -> None:
    version = decode(PublishedVersion, (GOLDEN / "manifest_1.json").read_bytes())
    assert (version.schema_version, version.line, version.feedback_to, version.gate) == (1, "v-0", None, None)


@pytest.mark.parametrize("found", [3, "2026"])
def test_a_record_of_an_unknown_format_says_what_to_do(found: object) -> None:
    fields = json.loads((GOLDEN / "manifest_2.json").read_bytes()) | {"schema_version": found}
    with pytest.raises(UnknownFormat, match=f"found a PublishedVersion of format {found!r}.*bring this process up"):
        decode(PublishedVersion, json.dumps(fields).encode())


def test_the_learner_stops_at_a_record_of_an_unknown_format(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    fields = json.loads((GOLDEN / "manifest_2.json").read_bytes()) | {"schema_version": 3}
    loop.log.publish(MODEL_VERSIONS, "fusion", json.dumps(fields).encode())
    with pytest.raises(UnknownFormat, match="train a version with this one"):
        loop.flow.turn()


def test_the_description_of_a_tiny_checkpoint_is_the_golden_one(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, tiny())
    assert header(tmp_path) == json.loads(HEADER.read_text())


def test_a_checkpoint_of_an_unknown_format_says_what_to_do(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, tiny())
    description = tmp_path / checkpoint.DESCRIPTION
    description.write_text(json.dumps(json.loads(description.read_text()) | {"schema": 99}))
    with pytest.raises(BadCheckpoint, match=r"found schema=99.*expected 2.*train again"):
        checkpoint.load(tmp_path)
