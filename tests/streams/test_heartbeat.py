"""What the beat sees: a worker without partitions beside a slow one, and states that are being read."""

from collections.abc import Mapping

import pytest
from kafka import TopicPartition
from prometheus_client import CollectorRegistry

from contracts.clock import utc_now
from contracts.topics import EVENTS, ITEM_TOUCHES, ITEMS
from eventlog.memory import MemoryLog
from streams.heartbeat import Heartbeats, Worker
from streams.lag import LagMeter
from streams.metrics import StreamMetrics
from streams.progress import Progress


class SlowElsewhere:
    """A consumer of a group in which another worker is behind with `items`."""

    def end_offsets(self, partitions: list[TopicPartition], timeout_ms: int) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 100)

    def committed(self, partition: TopicPartition, timeout_ms: int) -> int:
        return 40 if partition.topic == ITEMS.name else 100

    def close(self, autocommit: bool, timeout_ms: int) -> None:
        """Nothing to release."""


class Beating:
    """Heartbeats over a worker that a test describes."""

    def __init__(self) -> None:
        self.owned: set[tuple[str, int]] = set()
        self.opening: Mapping[tuple[str, int], int] = {}
        self.given_up: list[str] = []
        self.beats = Heartbeats(
            log=MemoryLog(),
            meter=LagMeter(
                SlowElsewhere,  # type: ignore[arg-type]
                (EVENTS, ITEM_TOUCHES, ITEMS),
                Progress(),
                lambda topic, partition: None,
            ),
            worker=Worker(lambda: self.owned, lambda: self.opening, self.given_up.append),
            metrics=StreamMetrics(CollectorRegistry()),
            every_s=2.0,
            clock=utc_now,
            other_lag=dict,
        )

    def for_seconds(self, seconds: int) -> None:
        start_s = self.beats._pulse_s
        for now in range(0, seconds, 2):
            self.beats._pulse_s = start_s + now
            self.beats.beat(start_s + now)


def test_a_worker_that_owns_nothing_does_not_end_itself_because_another_waits() -> None:
    beating = Beating()
    beating.for_seconds(200)
    assert beating.given_up == []


def test_a_worker_that_owns_what_does_not_move_ends_itself() -> None:
    beating = Beating()
    beating.owned = {(ITEMS.name, 2)}
    beating.for_seconds(100)
    assert beating.given_up[0].startswith("no progress: items-2 at 40 of 100")


@pytest.mark.parametrize(("a_beat", "ends"), [(1000, False), (0, True)])
def test_states_that_are_being_read_are_progress_and_a_reading_that_stands_still_is_none(
    a_beat: int, ends: bool
) -> None:
    beating = Beating()
    beating.owned = {(EVENTS.name, 0)}
    start_s = beating.beats._pulse_s
    for now in range(0, 300, 2):
        beating.opening = {(EVENTS.name, 0): a_beat * now}
        beating.beats._pulse_s = start_s + now
        beating.beats.beat(start_s + now)
    assert bool(beating.given_up) == ends
