"""Identifiers as types, so that a user's id is never passed where an item's is wanted.

All are strings on the wire. External ids (of the shop) are kept as the shop spells them; ids that Millstream makes
sort by the time of their making.
"""

import secrets
from datetime import datetime
from typing import NewType

from contracts.clock import to_ms

UserId = NewType("UserId", str)
ItemId = NewType("ItemId", str)
SessionId = NewType("SessionId", str)
EventId = NewType("EventId", str)
RequestId = NewType("RequestId", str)
ExampleId = NewType("ExampleId", str)
ModelVersion = NewType("ModelVersion", str)
PictureKey = NewType("PictureKey", str)


def time_ordered_id(prefix: str, at: datetime) -> str:
    """An id that sorts by `at` (12 hex digits of milliseconds) and is unique (64 random bits)."""
    return f"{prefix}-{to_ms(at):012x}{secrets.token_hex(8)}"
