"""When the log took a message, by the one clock that all its readers share: the broker's."""

from typing import Any

LOG_APPEND_TIME = 1
"""The type of a timestamp that the broker has set; 0 is the sender's own."""


def logged_ms(record: Any) -> int | None:
    """Milliseconds since the epoch, of a record of kafka-python or aiokafka; None where the sender has set it."""
    return int(record.timestamp) if record.timestamp_type == LOG_APPEND_TIME else None
