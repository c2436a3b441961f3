"""The gateway killed with SIGKILL at each step of a request's way into a real Apache Kafka; the shop sends it again."""

import signal

import httpx
import pytest

from contracts.topics import EVENTS
from eventlog.tail import read_whole
from streams.state.rules import Rules
from tests.builders import servers
from tests.builders.killed_gateway import STEPS
from tests.faults.verdict import truth_of

pytestmark = pytest.mark.real_kafka

CLICKS = 5


@pytest.mark.parametrize("step", STEPS)
def test_what_a_killed_gateway_did_not_answer_counts_once_when_it_is_sent_again(real_kafka: str, step: str) -> None:
    user = f"shopper-{step.replace(' ', '-')}"
    clicks = [
        {"kind": "click", "event_id": f"{user}-{number}", "user_id": user, "item_id": "wine"}
        for number in range(CLICKS)
    ]
    with servers.running(servers.gateway(real_kafka, dies_after=step)) as gateway:
        with pytest.raises(httpx.TransportError):
            httpx.post(f"{gateway.address}/v1/events", json=clicks, timeout=60)
        assert gateway.ended(10) == -signal.SIGKILL
    with servers.running(servers.gateway(real_kafka)) as gateway:
        answer = httpx.post(f"{gateway.address}/v1/events", json=clicks, timeout=60)
        assert answer.status_code == 202
        assert answer.json()["accepted"] == CLICKS

    events = [message for message in read_whole(real_kafka, EVENTS, 30) if message.key == user.encode()]
    first_time = {"received": {0}, "handed over": set(range(CLICKS + 1)), "acknowledged": {CLICKS}}
    assert len(events) - CLICKS in first_time[step]
    truth = truth_of(events, Rules())
    assert truth.ids == {click["event_id"] for click in clicks}
    (state,) = truth.states.values()
    assert state.features.event_count == CLICKS
