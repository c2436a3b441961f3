"""The breaker before a dependency."""

import time

import pytest

from contracts.errors import BadPicture, VectorsUnavailable
from services.bounded import Bounded


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def bounded(seconds: Seconds):
    made = Bounded("index", VectorsUnavailable, 2, open_for_s=1.0, monotonic_s=seconds)
    yield made
    made.close()


def fail() -> None:
    raise ConnectionError("refused")


async def test_a_failure_opens_it_and_a_success_after_a_while_shuts_it(bounded: Bounded, seconds: Seconds) -> None:
    with pytest.raises(VectorsUnavailable, match="refused"):
        await bounded.call(1, fail)
    with pytest.raises(VectorsUnavailable, match="tried again"):
        await bounded.call(1, lambda: "never asked")
    assert not bounded.available
    seconds.now = 1.0
    assert await bounded.call(1, lambda: "back") == "back"
    assert bounded.available


async def test_only_one_caller_tries_while_it_is_open(bounded: Bounded, seconds: Seconds) -> None:
    with pytest.raises(VectorsUnavailable):
        await bounded.call(1, fail)
    seconds.now = 1.0
    with pytest.raises(VectorsUnavailable, match="refused"):
        await bounded.call(1, fail)
    with pytest.raises(VectorsUnavailable, match="tried again"):
        await bounded.call(1, lambda: "never asked")


async def test_one_slow_answer_is_no_outage_but_three_in_a_row_are(bounded: Bounded) -> None:
    for _ in range(2):
        with pytest.raises(VectorsUnavailable, match="no answer within"):
            await bounded.call(0.01, time.sleep, 0.2)
    assert bounded.available
    with pytest.raises(VectorsUnavailable):
        await bounded.call(0.01, time.sleep, 0.2)
    assert not bounded.available


async def test_the_callers_own_fault_does_not_open_it(bounded: Bounded) -> None:
    def refuse() -> None:
        raise BadPicture("found no picture; expected one")

    with pytest.raises(BadPicture):
        await bounded.call(1, refuse)
    assert bounded.available
