"""The wiring map: every topic with its key, value, partitions, retention, producer and consumers.

Topics are created from this map before anything runs; nothing relies on automatic creation. A compacted topic keeps the
last value of each key for ever; the others keep messages for `retention`.
"""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Topic:
    """One topic. `key` and `value` name what the bytes are; a `retention` of None means compacted."""

    name: str
    key: str
    value: str
    partitions: int
    retention: timedelta | None
    producer: str
    consumers: tuple[str, ...]

    @property
    def compacted(self) -> bool:
        """Whether the broker keeps the last value of each key instead of a time window."""
        return self.retention is None


EVENTS = Topic(
    "events", "user_id", "contracts.events.UserEvent", 4, timedelta(days=30),
    "gateway, replay", ("streams: user agent", "streams: archive agent"),
)  # fmt: skip
ITEMS = Topic(
    "items", "item_id", "contracts.events.CatalogueEvent", 4, None,
    "gateway, load", ("streams: catalogue agent", "streams: archive agent", "serving", "learner"),
)  # fmt: skip
ITEM_TOUCHES = Topic(
    "item-touches", "item_id", "contracts.interactions.ItemTouches", 4, timedelta(days=7),
    "streams: user agent", ("streams: item agent",),
)  # fmt: skip
ITEM_FEATURES = Topic(
    "item-features", "item_id", "contracts.rows.ItemFeatureRow", 4, None,
    "streams: item agent", ("serving",),
)  # fmt: skip
ITEM_VECTORS = Topic(
    "item-vectors", "item_id", "contracts.rows.ItemVectors", 4, None,
    "streams: catalogue agent", ("streams: archive agent", "serving", "learner"),
)  # fmt: skip
FEEDBACK = Topic(
    "feedback", "user_id", "contracts.examples.TrainingExample", 4, timedelta(days=30),
    "streams: user agent", ("learner", "streams: archive agent"),
)  # fmt: skip
MODEL_VERSIONS = Topic(
    "model-versions", "model name", "contracts.versions.PublishedVersion", 1, None,
    "train, learner", ("serving", "learner"),
)  # fmt: skip
TRACES = Topic(
    "traces", "event_id", "contracts.traces.TraceStamp", 1, timedelta(days=1),
    "gateway, streams, learner", ("serving",),
)  # fmt: skip
HEARTBEATS = Topic(
    "heartbeats", "process", "contracts.heartbeats.Heartbeat", 1, None,
    "streams, learner", ("serving", "millstream status"),
)  # fmt: skip
DEAD_LETTERS = Topic(
    "dead-letters", "source topic", "contracts.deadletters.DeadLetter", 1, timedelta(days=30),
    "streams, learner", ("a person: `millstream topics --dead-letters`",),
)  # fmt: skip

TOPICS: tuple[Topic, ...] = (
    EVENTS, ITEMS, ITEM_TOUCHES, ITEM_FEATURES, ITEM_VECTORS, FEEDBACK, MODEL_VERSIONS, TRACES, HEARTBEATS,
    DEAD_LETTERS,
)  # fmt: skip
