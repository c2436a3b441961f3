"""One request on its way through a flow: its deadline, its times by stage, and what it had to do without."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Literal

from contracts.clock import to_ms
from contracts.ids import RequestId, time_ordered_id
from contracts.requests import Degradation
from services import metrics

Flow = Literal["recommendations", "search"]


class Run:
    """State of one request.

    Args:
        flow: Which flow it goes through.
        at: Time of the request.
        deadline_ms: Until when all stages should be done; a stage that is late is left out, never waited for.
        monotonic_s: Seconds, never going back.
    """

    def __init__(
        self, flow: Flow, at: datetime, deadline_ms: int, monotonic_s: Callable[[], float] = time.perf_counter
    ):
        self.flow: Flow = flow
        self.at = at
        self.now_ms = to_ms(at)
        self.request_id = RequestId(time_ordered_id("req", at))
        self.stage_ms: dict[str, float] = {}
        self._monotonic_s = monotonic_s
        self._started = monotonic_s()
        self._deadline_s = deadline_ms / 1000
        self._missing: dict[Degradation, None] = {}

    def left_s(self, share: float = 1.0) -> float:
        """Seconds until `share` of the deadline is used up; a millisecond at least, so that nothing waits for ever."""
        return max(0.001, self._started + share * self._deadline_s - self._monotonic_s())

    def miss(self, missing: Iterable[Degradation]) -> None:
        """Notes parts that were missing."""
        self._missing.update(dict.fromkeys(missing))

    @property
    def missing(self) -> list[Degradation]:
        """What was missing so far, in the order in which it was noticed."""
        return list(self._missing)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times a stage."""
        began = self._monotonic_s()
        try:
            yield
        finally:
            took = self._monotonic_s() - began
            self.stage_ms[name] = round(took * 1000, 3)
            metrics.STAGE_SECONDS.labels(flow=self.flow, stage=name).observe(took)

    def done(self) -> None:
        """Counts the answer and what it had to do without."""
        metrics.ANSWERS.labels(flow=self.flow).inc()
        for reason in self._missing:
            metrics.DEGRADED.labels(flow=self.flow, reason=reason.value).inc()
