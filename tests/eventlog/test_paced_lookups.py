"""A group whose coordinator the brokers name though it is away: a member asks again, and leaves the processor alone."""

import time

import pytest

from contracts.topics import FEEDBACK
from eventlog.tail import connect
from tests.builders import servers


def test_a_coordinator_that_is_away_is_looked_up_a_few_times_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    with servers.running(servers.tansu()) as broker:
        servers.with_topics(broker.address, embedded=True)
        consumer = connect(broker.address, group="lookups", session_timeout_ms=2000, heartbeat_interval_ms=500)
        consumer.subscribe([FEEDBACK.name])
        deadline_s = time.monotonic() + 20
        while not consumer.assignment():
            consumer.poll(timeout_ms=100)
            assert time.monotonic() < deadline_s
        coordinator = consumer._coordinator
        found, answers = coordinator._handle_find_coordinator_response, 0

        def counted(response: object) -> object:
            nonlocal answers
            answers += 1
            return found(response)

        monkeypatch.setattr(coordinator, "_handle_find_coordinator_response", counted)
        monkeypatch.setattr(coordinator._client, "is_disconnected", lambda node: True)
        monkeypatch.setattr(coordinator._client, "connection_delay", lambda node: 1.0)
        before_s = time.process_time()
        deadline_s = time.monotonic() + 2
        while time.monotonic() < deadline_s:
            consumer.poll(timeout_ms=200)
        spent_s = time.process_time() - before_s
        monkeypatch.undo()
        consumer.close(autocommit=False, timeout_ms=1000)
    assert 2 <= answers <= 15
    assert spent_s < 1.0
