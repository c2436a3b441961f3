"""The trace of one event: a stamp for each stage that it passes, from HTTP to the first answer made with it.

The two live figures come from here. *Click to ranking*: from RECEIVED to ANSWERED_WITH_FEATURES. *Click to weights*:
from RECEIVED to ANSWERED_WITH_WEIGHTS.
"""

from enum import StrEnum

from pydantic import BaseModel

from contracts.bounds import UtcDatetime
from contracts.formats import InternalMessage
from contracts.ids import EventId, ModelVersion, RequestId


class Stage(StrEnum):
    """The stages in their order."""

    RECEIVED = "received"
    LOGGED = "logged"
    FOLDED = "folded"
    FEATURES_WRITTEN = "features_written"
    EXAMPLE_EMITTED = "example_emitted"
    LEARNED = "learned"
    PUBLISHED = "published"
    ANSWERED_WITH_FEATURES = "answered_with_features"
    ANSWERED_WITH_WEIGHTS = "answered_with_weights"


class TraceStamp(InternalMessage):
    """One stage passed; the value on the topic `traces`."""

    event_id: EventId
    stage: Stage
    at: UtcDatetime
    model_version: ModelVersion | None = None
    request_id: RequestId | None = None


class Trace(BaseModel):
    """Answer of `GET /v1/traces/{event_id}`: the stamps so far, and the two figures once they are known (seconds)."""

    event_id: EventId
    stamps: tuple[TraceStamp, ...]
    click_to_ranking_s: float | None = None
    click_to_weights_s: float | None = None
