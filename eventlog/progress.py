"""Noticing a consumer that makes no progress although messages wait for it.

Past some 80,000 batches in a partition, Tansu answers fetches of a short wait with nothing, for ever and without an
error; a longer wait gets through. Consumers here therefore start anew with a doubled wait when they stall.

kafka-python's leader of a group may deal out partitions before it knows those of a topic, and finds out minutes
later. A member that stays without partitions therefore joins anew.
"""

import time
from collections.abc import Callable

from kafka import KafkaConsumer
from kafka.structs import MemberState

STALLED_AFTER_S = 10.0
MAX_FETCH_WAIT_MS = 2000
UNASSIGNED_AFTER_S = 10.0
MAX_UNASSIGNED_S = 3600.0


class Progress:
    """Watches one consumer; for one thread.

    Args:
        monotonic: Seconds of a clock that never goes back.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic):
        self._monotonic = monotonic
        self._since = monotonic()

    def stalled(self, consumer: KafkaConsumer, polled: bool) -> bool:
        """Whether messages have waited for `STALLED_AFTER_S` while polls brought none. Call after each poll."""
        if polled or not behind(consumer):
            self._since = self._monotonic()
            return False
        return self._monotonic() - self._since >= STALLED_AFTER_S


class Unassigned:
    """Watches one member of a group for having joined it without a partition; for one thread.

    While it joins there is nothing to tell: to leave then would make it slower. A member that is one too many has no
    partition either, and each of its joins disturbs the others: so each wait is twice the one before, up to
    `MAX_UNASSIGNED_S`.

    Args:
        monotonic: Seconds of a clock that never goes back.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic):
        self._monotonic = monotonic
        self._since: float | None = None
        self._wait_s = UNASSIGNED_AFTER_S

    def overdue(self, consumer: KafkaConsumer) -> bool:
        """Whether the member should join anew. Call after each poll."""
        if consumer.assignment():
            self._wait_s = UNASSIGNED_AFTER_S
        if consumer.assignment() or consumer.group_metadata().state != MemberState.STABLE:
            self._since = None
            return False
        if self._since is None:
            self._since = self._monotonic()
        if self._monotonic() - self._since < self._wait_s:
            return False
        self._since, self._wait_s = None, min(2 * self._wait_s, MAX_UNASSIGNED_S)
        return True


def behind(consumer: KafkaConsumer) -> bool:
    """Whether a partition is known to hold messages after the consumer's position."""
    for partition in consumer.assignment():
        watermark = consumer.highwater(partition)
        if watermark is not None and consumer.position(partition, timeout_ms=1000) < watermark:
            return True
    return False


def longer_wait_ms(fetch_wait_ms: int) -> int:
    """The fetch wait to go on with after a stall."""
    return min(2 * fetch_wait_ms, MAX_FETCH_WAIT_MS)
