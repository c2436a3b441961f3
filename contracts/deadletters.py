"""A message that could not be used, kept with its reason; the value on the topic `dead-letters`."""

import base64

from contracts.bounds import UtcDatetime
from contracts.errors import MillstreamError
from contracts.formats import InternalMessage

LETTER_BYTES = 500_000
"""The largest message that a letter holds: in base64 and JSON, below the megabyte that brokers take."""

KEY_BYTES = 10_000
"""The largest key that a letter holds; ids are a hundredth of it."""


class DeadLetter(InternalMessage):
    """Where the message stood, what it was (base64, so that any bytes survive), and why it was refused."""

    topic: str
    partition: int
    offset: int
    key: str | None
    value: str | None
    reason: str
    detail: str
    at: UtcDatetime

    def raw_key(self) -> bytes | None:
        """The key as it came."""
        return None if self.key is None else base64.b64decode(self.key)

    def raw_value(self) -> bytes | None:
        """The refused bytes as they came."""
        return None if self.value is None else base64.b64decode(self.value)


def refused(
    topic: str, partition: int, offset: int, key: bytes | None, value: bytes | None, error: Exception, at: UtcDatetime
) -> DeadLetter:
    """The dead letter of a message that raised `error`; of one that would not fit into a letter, only its place."""
    if len(value or b"") > LETTER_BYTES:
        value = None
    if len(key or b"") > KEY_BYTES:
        key = None
    return DeadLetter(
        topic=topic,
        partition=partition,
        offset=offset,
        key=None if key is None else base64.b64encode(key).decode(),
        value=None if value is None else base64.b64encode(value).decode(),
        reason=error.reason if isinstance(error, MillstreamError) else "unexpected",
        detail=str(error)[:1000] if isinstance(error, MillstreamError) else repr(error)[:1000],
        at=at,
    )
