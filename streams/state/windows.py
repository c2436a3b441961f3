"""Counts in sliding windows of event time: an hour, a day and a week, kept as buckets.

A window of n buckets is the newest, still open bucket and the n-1 before it, so it spans between (n-1) and n buckets of
time. What is kept depends on the set of events, never on their order: a late event lands in its own bucket, and one
that has left a window is not counted in it.
"""

from dataclasses import dataclass

import msgspec

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True)
class Resolution:
    """One window: how long a bucket is, and how many make the window."""

    bucket_ms: int
    buckets: int


HOUR = Resolution(5 * MINUTE_MS, 12)
DAY = Resolution(HOUR_MS, 24)
WEEK = Resolution(6 * HOUR_MS, 28)


class Windows(msgspec.Struct, frozen=True, array_like=True):
    """Counts by bucket number (event time divided by the bucket's length), for the three windows."""

    hour: dict[int, int] = {}
    day: dict[int, int] = {}
    week: dict[int, int] = {}


@dataclass(frozen=True)
class Totals:
    """Counts in the three windows as of one time."""

    hour: int
    day: int
    week: int


def counted(windows: Windows, at_ms: int, newest_ms: int, units: int = 1) -> Windows:
    """The windows with an event at `at_ms` in them, and without what has left them.

    Args:
        windows: The counts so far.
        at_ms: Event time of the event, ms since the epoch.
        newest_ms: The newest event time known, at least `at_ms`; it decides what has left the windows.
        units: How much to count.
    """
    return Windows(
        _counted(windows.hour, HOUR, at_ms, newest_ms, units),
        _counted(windows.day, DAY, at_ms, newest_ms, units),
        _counted(windows.week, WEEK, at_ms, newest_ms, units),
    )


def totals(windows: Windows, now_ms: int) -> Totals:
    """The counts as of `now_ms` (event time, at least the newest one counted)."""
    return Totals(
        _total(windows.hour, HOUR, now_ms), _total(windows.day, DAY, now_ms), _total(windows.week, WEEK, now_ms)
    )


def _counted(buckets: dict[int, int], kind: Resolution, at_ms: int, newest_ms: int, units: int) -> dict[int, int]:
    newest = newest_ms // kind.bucket_ms
    left = newest - kind.buckets
    bucket = at_ms // kind.bucket_ms
    kept = {number: count for number, count in buckets.items() if number > left}
    if bucket > left:
        kept[bucket] = kept.get(bucket, 0) + units
    return kept


def _total(buckets: dict[int, int], kind: Resolution, now_ms: int) -> int:
    newest = now_ms // kind.bucket_ms
    return sum(count for number, count in buckets.items() if newest - kind.buckets < number <= newest)
