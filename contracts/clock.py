"""Time, in one form: aware UTC datetimes inside, milliseconds since the epoch on the wire and in features.

A `Clock` is injected wherever "now" matters, so that no test depends on the wall clock.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]

FUTURE_TOLERANCE = timedelta(minutes=5)


def utc_now() -> datetime:
    """The wall clock, aware, in UTC: the default `Clock` of every process."""
    return datetime.now(UTC)


def to_ms(at: datetime) -> int:
    """Milliseconds since the epoch of an aware datetime."""
    return round(at.timestamp() * 1000)


def from_ms(ms: int) -> datetime:
    """The aware UTC datetime of milliseconds since the epoch."""
    return datetime.fromtimestamp(ms / 1000, UTC)
