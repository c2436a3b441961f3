"""Replaying a log of events through the whole stream, at N times real time or as fast as it goes."""

import time
from collections.abc import Callable, Iterable
from itertools import islice

from contracts.errors import BadInput, LogUnavailable
from contracts.events import Interaction
from contracts.settings import Settings
from contracts.topics import EVENTS, ITEM_TOUCHES, ITEMS
from contracts.wire import encode
from eventlog.lag import group_lag
from millstream.sources.publish import Advance, bulk_log

SHOW_EVERY_S = 0.2
CONSUMED_POLL_S = 0.5
GIVE_UP_WITHOUT_PROGRESS_S = 120.0


def parse_speed(text: str) -> float:
    """Times real time; 0 stands for as fast as possible. Raises BadInput."""
    if text == "max":
        return 0.0
    try:
        speed = float(text)
    except ValueError:
        speed = -1.0
    if speed < 0:
        raise BadInput(f"found --speed {text}; expected a number (times real time), or max")
    return speed


def replay_events(
    settings: Settings,
    events: Iterable[Interaction],
    speed: float,
    advance: Advance,
    *,
    limit: int = 0,
    total: int = 0,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Publishes events in their order to the topic `events`.

    Args:
        settings: Which log.
        events: In event time, at least per user.
        speed: Times real time; 0 for as fast as possible.
        advance: Shown the number sent.
        limit: Stop after so many; 0 for all.
        total: How many there are, for progress; 0 when unknown.
        sleep: Waits between events when they are paced.

    Returns:
        How many were sent and acknowledged.

    Raises:
        LogUnavailable: the log did not acknowledge.
    """
    chosen = islice(events, limit) if limit else events
    total = min(total, limit) if limit and total else total
    started = shown = time.monotonic()
    first_s: float | None = None
    with bulk_log(settings, "millstream-replay") as bulk:
        for event in chosen:
            at_s = event.at.timestamp()
            first_s = at_s if first_s is None else first_s
            if speed:
                ahead_s = (at_s - first_s) / speed - (time.monotonic() - started)
                if ahead_s > 0:
                    bulk.settle()
                    sleep(ahead_s)
            bulk.publish(EVENTS, event.user_id, encode(event))
            if time.monotonic() - shown > SHOW_EVERY_S:
                shown = time.monotonic()
                advance(bulk.count, total, f"{bulk.count / (shown - started):,.0f} events/s")
        bulk.settle()
        advance(bulk.count, total, "")
        return bulk.count


def wait_until_consumed(settings: Settings, advance: Advance) -> None:
    """Returns once the streams have consumed all events, items and touches.

    Raises:
        LogUnavailable: nothing was consumed for long, or the log does not answer.
    """
    most, least, moved_at = 0, -1, time.monotonic()
    while True:
        waiting = sum(group_lag(settings.bootstrap, settings.app_id, (EVENTS, ITEMS, ITEM_TOUCHES)).values())
        most = max(most, waiting)
        advance(most - waiting, most, f"{waiting:,} messages wait")
        if waiting == 0:
            return
        now = time.monotonic()
        if waiting != least:
            least, moved_at = waiting, now
        if now - moved_at > GIVE_UP_WITHOUT_PROGRESS_S:
            raise LogUnavailable(
                f"found {waiting} messages unconsumed and no progress for {GIVE_UP_WITHOUT_PROGRESS_S:.0f} s; expected "
                "the streams to consume them; see: millstream status"
            )
        time.sleep(CONSUMED_POLL_S)
