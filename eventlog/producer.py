"""Producing to the log: an idempotent kafka-python producer behind the port `EventLog`.

The client has no bound on what it buffers, so this adapter bounds it; it connects at the first message, so that a
process can start before its broker; and it replaces a producer whose delivery failed: the client then asks for a new
epoch of its producer id, which Tansu refuses for ever, as does any broker that lost its state.
"""

import logging
import threading
import time
from concurrent.futures import Future

from kafka import KafkaProducer
from kafka.errors import (
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    UnknownTopicOrPartitionError,
)

from contracts.errors import LogUnavailable, MessageTooLarge
from contracts.topics import Topic
from eventlog.thread_safe import make_thread_safe

log = logging.getLogger(__name__)

MAX_BLOCK_S = 1.0
"""The longest that `publish` waits for metadata or for room among the unacknowledged messages."""

MAX_UNACKNOWLEDGED_BYTES = 64 * 1024 * 1024

REQUEST_TIMEOUT_S = 5.0

RECONNECT_EVERY_S = 1.0

FAULTS_OF_THE_MESSAGE = (
    InvalidTopicError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    UnknownTopicOrPartitionError,
    ValueError,
)
"""Errors that say nothing about the producer: it stays."""


class KafkaLog:
    """Implements `contracts.ports.EventLog` on Kafka or Tansu; safe to share between threads.

    Args:
        bootstrap: Bootstrap servers, `host:port`, several separated by commas.
        client_id: Name of this producer in the broker's logs and metrics.
        linger_ms: How long a message waits for others of its partition; few batches keep Tansu fast.
        delivery_timeout_s: After this long without an acknowledgement the future holds LogUnavailable.
    """

    def __init__(self, bootstrap: str, client_id: str, linger_ms: int = 20, *, delivery_timeout_s: float = 30.0):
        self._bootstrap = bootstrap
        self._client_id = client_id
        self._linger_ms = linger_ms
        self._delivery_timeout_s = max(delivery_timeout_s, REQUEST_TIMEOUT_S + linger_ms / 1000 + 0.1)
        self._producer: KafkaProducer | None = None
        self._broken = threading.Event()
        self._connecting = threading.Lock()
        self._next_attempt = 0.0
        self._closed = False
        self._room = threading.Condition()
        self._unacknowledged: set[Future[None]] = set()
        self._unacknowledged_bytes = 0

    def publish(self, topic: Topic, key: str, value: bytes | None) -> Future[None]:
        """Hands the message to the producer; waits at most `MAX_BLOCK_S` when the broker is away or the buffer full.

        Returns:
            A future that is done when all in-sync replicas have the message, or that holds LogUnavailable.
        """
        acknowledged: Future[None] = Future()
        key_bytes = key.encode()
        size = len(key_bytes) + len(value or b"")
        if not self._admit(acknowledged, size):
            acknowledged.set_exception(
                LogUnavailable(
                    f"found {self._unacknowledged_bytes} bytes unacknowledged by {self._bootstrap}; expected at most "
                    f"{MAX_UNACKNOWLEDGED_BYTES}; the broker is away or too slow: retry later"
                )
            )
            return acknowledged
        try:
            sent = self._connected().send(topic.name, value=value, key=key_bytes)
        except LogUnavailable as error:
            self._finish(acknowledged, size, error)
        except (KafkaError, ValueError) as error:
            self._failed(acknowledged, size, error)
        else:
            sent.add_callback(lambda _: self._finish(acknowledged, size, None))
            sent.add_errback(lambda error: self._failed(acknowledged, size, error))
        return acknowledged

    def flush(self, timeout_s: float) -> None:
        """Returns once every message published before the call is settled.

        Raises:
            LogUnavailable: some were not acknowledged within `timeout_s`, or failed while this call waited.
        """
        with self._room:
            waiting = list(self._unacknowledged)
        deadline = time.monotonic() + timeout_s
        for acknowledged in waiting:
            try:
                acknowledged.result(max(0.0, deadline - time.monotonic()))
            except TimeoutError as error:
                raise LogUnavailable(
                    f"found {len(waiting)} messages of which some were not acknowledged by {self._bootstrap} within "
                    f"{timeout_s} s; check that the broker runs and retry"
                ) from error

    def close(self, timeout_s: float = 5.0) -> None:
        """Sends what is buffered, for at most `timeout_s`, and closes the connections; a closed log stays closed."""
        with self._connecting:
            self._closed = True
            producer, self._producer = self._producer, None
        if producer is not None:
            try:
                producer.close(timeout=timeout_s)
            except KafkaError:
                log.warning("the producer %s closed with messages that were not acknowledged", self._client_id)
                close_at_once(producer)

    def _admit(self, acknowledged: Future[None], size: int) -> bool:
        with self._room:
            fits = self._room.wait_for(
                lambda: (
                    self._unacknowledged_bytes == 0 or self._unacknowledged_bytes + size <= MAX_UNACKNOWLEDGED_BYTES
                ),
                MAX_BLOCK_S,
            )
            if fits:
                self._unacknowledged.add(acknowledged)
                self._unacknowledged_bytes += size
            return fits

    def _failed(self, acknowledged: Future[None], size: int, error: BaseException) -> None:
        if not isinstance(error, FAULTS_OF_THE_MESSAGE):
            self._broken.set()
        self._finish(acknowledged, size, self._unavailable(error))

    def _finish(self, acknowledged: Future[None], size: int, error: LogUnavailable | None) -> None:
        with self._room:
            self._unacknowledged.discard(acknowledged)
            self._unacknowledged_bytes -= size
            self._room.notify_all()
        if not acknowledged.set_running_or_notify_cancel():
            return
        if error is None:
            acknowledged.set_result(None)
        else:
            acknowledged.set_exception(error)

    def _connected(self) -> KafkaProducer:
        """The producer; replaces a broken one, and connects at most once in `RECONNECT_EVERY_S`."""
        producer = self._producer
        if producer is not None and not self._broken.is_set():
            return producer
        with self._connecting:
            if self._producer is not None and not self._broken.is_set():
                return self._producer
            if self._closed:
                raise LogUnavailable(f"found the log {self._client_id!r} closed; expected it open: make a new one")
            if time.monotonic() < self._next_attempt:
                raise LogUnavailable(f"found no broker at {self._bootstrap} a moment ago; retry in a second")
            broken, self._producer = self._producer, None
            if broken is not None:
                log.warning("the producer %s met an error that it does not survive; replacing it", self._client_id)
                # What it still holds fails at once: a later message must not overtake an earlier one.
                close_at_once(broken)
            self._broken.clear()
            try:
                make_thread_safe()
                self._producer = KafkaProducer(
                    bootstrap_servers=self._bootstrap.split(","),
                    client_id=self._client_id,
                    acks="all",
                    enable_idempotence=True,
                    compression_type="lz4",
                    linger_ms=self._linger_ms,
                    batch_size=256 * 1024,
                    max_block_ms=round(MAX_BLOCK_S * 1000),
                    bootstrap_timeout_ms=round(MAX_BLOCK_S * 1000),
                    request_timeout_ms=round(REQUEST_TIMEOUT_S * 1000),
                    delivery_timeout_ms=round(self._delivery_timeout_s * 1000),
                    reconnect_backoff_max_ms=1000,
                    allow_auto_create_topics=False,
                    metrics_enabled=False,
                )
            except KafkaError as error:
                self._next_attempt = time.monotonic() + RECONNECT_EVERY_S
                raise self._unavailable(error) from error
            return self._producer

    def _unavailable(self, error: BaseException) -> LogUnavailable:
        if isinstance(error, MessageSizeTooLargeError | RecordListTooLargeError):
            return MessageTooLarge(f"found {error}; expected a message that {self._bootstrap} takes; send less in one")
        return LogUnavailable(
            f"found {type(error).__name__} ({error}) from the broker at {self._bootstrap}; expected an acknowledgement "
            "; check that the broker runs and that the topics were created"
        )


def close_at_once(producer: KafkaProducer) -> None:
    """Drops the producer's connections; whatever it still holds fails."""
    try:
        producer.close(timeout=0)
    except KafkaError:
        # Its `close` waits for its buffer first, and gives up before closing when that does not empty.
        producer._sender.force_close()
        producer._sender.join(1.0)
