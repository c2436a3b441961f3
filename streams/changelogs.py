"""The changelog topics of the streams' tables: their names, their creation, and the settings of their producer."""

from typing import Any

from contracts.settings import Settings
from contracts.topics import EVENTS, ITEM_TOUCHES, Topic
from eventlog.admin import create_topics

USERS = "users"
ITEM_STATES = "item-states"

CHANGELOG_PRODUCER: dict[str, Any] = {
    "acks": "all",
    "linger_ms": 5,
    "compression_type": "lz4",
    "max_batch_size": 262_144,
    "max_request_size": 8_000_000,
    "request_timeout_ms": 10_000,
}


def changelog_topic(app_id: str, table: str) -> str:
    """The name of a table's changelog."""
    return f"{app_id}-{table}-changelog"


def changelog_topics(app_id: str) -> tuple[Topic, ...]:
    """Both changelogs, with the partitions of the topics that their states are folded from."""
    return (
        Topic(changelog_topic(app_id, USERS), "user_id", "UserState", EVENTS.partitions, None, "streams", ("streams",)),
        Topic(
            changelog_topic(app_id, ITEM_STATES), "item_id", "ItemFeatureState", ITEM_TOUCHES.partitions, None,
            "streams", ("streams",),
        ),
    )  # fmt: skip


def create_changelogs(settings: Settings) -> None:
    """Creates what is not there. Raises LogUnavailable."""
    create_topics(settings.bootstrap, changelog_topics(settings.app_id), settings.embedded_broker)
