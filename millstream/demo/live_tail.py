"""The end of the demo's purchase log, kept back and replayed while the demo runs, each event at the time it is sent."""

import threading
from collections.abc import Sequence

from contracts.clock import Clock, utc_now
from contracts.errors import LogUnavailable
from contracts.events import Interaction
from contracts.settings import Settings
from contracts.topics import EVENTS
from contracts.wire import encode
from eventlog.producer import KafkaLog

EVENTS_PER_SECOND = 4.0


class LiveTail:
    """A thread that replays the tail until it is stopped or the tail ends.

    Args:
        settings: Which log.
        events: The tail, in event time.
        clock: Gives the events their new times.
    """

    def __init__(self, settings: Settings, events: Sequence[Interaction], clock: Clock = utc_now):
        self._settings = settings
        self._events = events
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live-tail", daemon=True)
        self.sent = 0
        self.failures: list[str] = []

    def start(self) -> None:
        """Starts replaying."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it and waits."""
        self._stop.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        log = KafkaLog(self._settings.bootstrap, "millstream-live-tail", linger_ms=50)
        try:
            for event in self._events:
                if self._stop.wait(1 / EVENTS_PER_SECOND):
                    return
                try:
                    now = event.model_copy(update={"at": self._clock()})
                    log.publish(EVENTS, now.user_id, encode(now)).result(timeout=10)
                    self.sent += 1
                except (LogUnavailable, TimeoutError) as error:
                    self.failures.append(str(error))
        finally:
            log.close()
