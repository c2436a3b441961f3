"""Putting many messages on the log: in chunks, each acknowledged before the next, with progress."""

import time
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import Future
from contextlib import contextmanager

from contracts.catalogue import Item
from contracts.clock import Clock, utc_now
from contracts.events import ItemUpserted
from contracts.settings import Settings
from contracts.topics import ITEMS, Topic
from contracts.wire import encode
from eventlog.producer import KafkaLog

CHUNK = 5_000
LINGER_MS = 100
"""Long, for few and large batches: the embedded broker slows down with their number."""
FLUSH_S = 60.0

Advance = Callable[[float, float, str], None]


class BulkLog:
    """A producer for bulk work: counts, and lets no failed message pass unseen."""

    def __init__(self, log: KafkaLog):
        self._log = log
        self._sent: list[Future[None]] = []
        self.count = 0

    def publish(self, topic: Topic, key: str, value: bytes) -> None:
        """Hands one message over; every `CHUNK` messages waits for all of them. Raises LogUnavailable."""
        self._sent.append(self._log.publish(topic, key, value))
        self.count += 1
        if len(self._sent) >= CHUNK:
            self.settle()

    def settle(self) -> None:
        """Waits until all messages so far are acknowledged. Raises LogUnavailable."""
        self._log.flush(FLUSH_S)
        for future in self._sent:
            future.result(timeout=FLUSH_S)
        self._sent.clear()


@contextmanager
def bulk_log(settings: Settings, client_id: str) -> Iterator[BulkLog]:
    """A bulk producer, settled and closed at the end. Raises LogUnavailable."""
    log = KafkaLog(settings.bootstrap, client_id, linger_ms=LINGER_MS)
    try:
        bulk = BulkLog(log)
        yield bulk
        bulk.settle()
    finally:
        log.close()


def publish_items(settings: Settings, items: Iterable[Item], advance: Advance, clock: Clock = utc_now) -> int:
    """Publishes each item to the topic `items`. Returns how many. Raises LogUnavailable."""
    total = len(items) if isinstance(items, Sized) else 0
    shown = time.monotonic()
    with bulk_log(settings, "millstream-load") as bulk:
        for item in items:
            bulk.publish(ITEMS, item.item_id, encode(ItemUpserted(item=item, at=clock())))
            if time.monotonic() - shown > 0.1:
                shown = time.monotonic()
                advance(bulk.count, total, "")
        advance(bulk.count, total, "")
        return bulk.count
