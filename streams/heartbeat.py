"""The thread that beats: measures lag, publishes the heartbeat, and asks the watchdog.

It is no task of the event loop, so it also sees a loop that hangs: the loop bumps `pulse`, and without it no beat goes
out and in the end the process is given up.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from contracts.clock import Clock
from contracts.errors import LogUnavailable
from contracts.heartbeats import Heartbeat
from contracts.ports import EventLog
from contracts.topics import HEARTBEATS
from contracts.wire import encode
from streams.health import STALL_AFTER_S, Observation, Watchdog
from streams.lag import LagMeter
from streams.metrics import StreamMetrics

log = logging.getLogger(__name__)

PULSE_STALE_S = 10.0
UNKNOWN_END = 1 << 62
"""Of a changelog that is being read: it must go on."""


@dataclass(frozen=True)
class Worker:
    """What the beat asks of the worker.

    Attributes:
        owned: Partitions now assigned, as (topic, partition).
        opening: Partitions whose states are being read, with the changelog messages applied so far.
        give_up: Ends the process so that it is started anew; called with the reason.
    """

    owned: Callable[[], Collection[tuple[str, int]]]
    opening: Callable[[], Mapping[tuple[str, int], int]]
    give_up: Callable[[str], None]


class Heartbeats:
    """The thread.

    Args:
        log: Takes the beats.
        meter: Measures lag.
        worker: The worker that is watched.
        metrics: Gets the lag.
        every_s: Pause between two beats.
        clock: Time of the beats.
        other_lag: Lag of readers beside Faust, by label.
        waiting: Parts that wait for something outside the process, with what that is.
    """

    def __init__(
        self,
        *,
        log: EventLog,
        meter: LagMeter,
        worker: Worker,
        metrics: StreamMetrics,
        every_s: float,
        clock: Clock,
        other_lag: Callable[[], dict[str, int]],
        waiting: Callable[[], dict[str, str]] = dict,
    ):
        self._log = log
        self._meter = meter
        self._worker = worker
        self._metrics = metrics
        self._every_s = every_s
        self._clock = clock
        self._other_lag = other_lag
        self._waiting = waiting
        self._watchdog = Watchdog(STALL_AFTER_S)
        self._pulse_s = time.monotonic()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def pulse(self) -> None:
        """The event loop lives; called by it every second."""
        self._pulse_s = time.monotonic()

    def beat(self, now_s: float) -> None:
        """One round. Raises LogUnavailable when the broker does not answer.

        Args:
            now_s: Seconds of the monotonic clock.
        """
        silent_s = now_s - self._pulse_s
        if silent_s > STALL_AFTER_S:
            self._worker.give_up(f"the event loop did not run for {silent_s:.0f} s")
        measured = self._meter.measure(self._worker.owned())
        lag = measured.lag | {f"archive:{topic}": behind for topic, behind in self._other_lag().items()}
        for topic, behind in lag.items():
            self._metrics.lag.labels(topic).set(behind)
        opening = self._worker.opening()
        observations = [
            *(seen for seen in measured.observations if (seen.topic, seen.partition) not in opening),
            *(
                Observation(topic, partition, UNKNOWN_END, count, False)
                for (topic, partition), count in opening.items()
            ),
        ]
        if stalled := self._watchdog.stalled(observations, now_s):
            self._worker.give_up(f"no progress: {'; '.join(stalled)}")
        if silent_s <= PULSE_STALE_S:
            beat = Heartbeat(process="streams", at=self._clock(), lag=lag, waiting=self._waiting())
            self._log.publish(HEARTBEATS, beat.process, encode(beat)).result(5.0)

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            try:
                self.beat(time.monotonic())
            except (LogUnavailable, TimeoutError) as error:
                log.warning("no heartbeat: %s", error)
            except Exception:
                log.exception("a heartbeat failed; without them the answers are flagged")
        self._meter.close()
