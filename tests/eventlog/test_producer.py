"""The producer when the broker is away, restarted without its memory, or refuses a message."""

import time

import pytest

from contracts.errors import LogUnavailable
from contracts.topics import EVENTS, TOPICS
from eventlog import producer
from eventlog.admin import create_topics
from eventlog.producer import KafkaLog
from eventlog.tail import KafkaTail, wait_until_caught_up
from tests.builders import servers


def test_without_a_broker_a_publish_returns_soon_with_log_unavailable() -> None:
    log = KafkaLog("127.0.0.1:1", "test")
    started = time.monotonic()
    with pytest.raises(LogUnavailable, match=r"127\.0\.0\.1:1"):
        log.publish(EVENTS, "u", b"v").result(0)
    with pytest.raises(LogUnavailable, match="a moment ago"):
        log.publish(EVENTS, "u", b"v").result(0)
    assert time.monotonic() - started < 2 * producer.MAX_BLOCK_S
    log.close()


def test_a_process_may_start_before_its_broker() -> None:
    server = servers.tansu()
    log = KafkaLog(server.address, "test")
    with pytest.raises(LogUnavailable):
        log.publish(EVENTS, "u", b"v").result(0)
    with servers.running(server):
        servers.with_topics(server.address, embedded=True)
        time.sleep(producer.RECONNECT_EVERY_S)
        assert log.publish(EVENTS, "u", b"v").result(10) is None
        log.close()


def test_a_producer_survives_a_broker_that_lost_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer, "REQUEST_TIMEOUT_S", 0.5)
    with servers.running(servers.tansu()) as server:
        create_topics(server.address, TOPICS, embedded=True)
        log = KafkaLog(server.address, "test", delivery_timeout_s=2.0)
        log.publish(EVENTS, "u", b"before").result(10)
        server.kill()
        started = time.monotonic()
        lost = log.publish(EVENTS, "u", b"lost")
        assert time.monotonic() - started < 1.5, "a publish must not wait for a dead broker"
        with pytest.raises(LogUnavailable):
            lost.result(10)
        server.start()
        create_topics(server.address, TOPICS, embedded=True)
        for _ in range(20):
            try:
                log.publish(EVENTS, "u", b"after").result(3)
                break
            except LogUnavailable:
                time.sleep(0.2)
        tail = KafkaTail(server.address, [EVENTS])
        assert b"after" in [message.value for message in wait_until_caught_up(tail, 10)]
        tail.close()
        log.close()


def test_a_full_buffer_refuses_instead_of_growing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer, "MAX_BLOCK_S", 0.1)
    monkeypatch.setattr(producer, "MAX_UNACKNOWLEDGED_BYTES", 1000)
    with servers.running(servers.tansu()) as server:
        create_topics(server.address, TOPICS, embedded=True)
        log = KafkaLog(server.address, "test")
        log.publish(EVENTS, "u", b"v").result(10)
        server.freeze()
        kept = log.publish(EVENTS, "u", b"v" * 900)
        with pytest.raises(LogUnavailable, match="expected at most 1000"):
            log.publish(EVENTS, "u", b"v" * 900).result(0)
        with pytest.raises(LogUnavailable, match="not acknowledged"):
            log.flush(0.1)
        server.thaw()
        assert kept.result(10) is None
        assert log.publish(EVENTS, "u", b"v" * 900).result(10) is None
        log.close()


def test_a_message_too_large_fails_alone(tansu: str) -> None:
    log = KafkaLog(tansu, "test")
    with pytest.raises(LogUnavailable, match="MessageSizeTooLarge"):
        log.publish(EVENTS, "too-large", b"v" * 3_000_000).result(5)
    assert log.publish(EVENTS, "small", b"v").result(10) is None
    log.close()


def test_a_closed_log_stays_closed(tansu: str) -> None:
    log = KafkaLog(tansu, "test")
    log.publish(EVENTS, "k", b"v").result(10)
    log.close()
    with pytest.raises(LogUnavailable, match="closed"):
        log.publish(EVENTS, "k", b"v").result(0)
