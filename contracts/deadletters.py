"""A message that could not be used, kept with its reason; the value on the topic `dead-letters`."""

import base64

from pydantic import BaseModel, ConfigDict

from contracts.errors import MillstreamError
from contracts.events import UtcDatetime


class DeadLetter(BaseModel):
    """Where the message stood, what it was (base64, so that any bytes survive), and why it was refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: str
    partition: int
    offset: int
    key: str | None
    value: str | None
    reason: str
    detail: str
    at: UtcDatetime

    def raw_value(self) -> bytes | None:
        """The refused bytes as they came."""
        return None if self.value is None else base64.b64decode(self.value)


def refused(
    topic: str, partition: int, offset: int, key: bytes | None, value: bytes | None, error: Exception, at: UtcDatetime
) -> DeadLetter:
    """The dead letter of a message that raised `error`."""
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
