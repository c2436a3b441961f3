"""The summary of a headless demo: the two live figures and what they cost, kept in `build/demo-summary.json`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from contracts.errors import StackError
from contracts.ids import ModelVersion
from contracts.requests import FreshnessAnswer, Percentiles
from contracts.settings import Settings
from contracts.topics import EVENTS, HEARTBEATS, ITEMS, TOPICS, TRACES
from eventlog.lag import message_counts

PATH = Path("build/demo-summary.json")


class Live(BaseModel):
    """A live figure in seconds."""

    model_config = ConfigDict(frozen=True)

    n: int
    p50: float
    p95: float


class Latency(BaseModel):
    """Milliseconds of a recommendation, measured at the client."""

    model_config = ConfigDict(frozen=True)

    n: int
    p50: float
    p95: float
    p99: float


class DemoSummary(BaseModel):
    """What a headless demo writes."""

    model_config = ConfigDict(frozen=True)

    click_to_ranking_s: Live
    click_to_weights_s: Live
    recommend_ms: Latency
    seconds_to_open: float
    resident_mb: float
    model_versions_served: list[ModelVersion]
    events_in: dict[str, int]
    events_out: dict[str, int]
    beats_baselines: bool
    first_five_minutes: list[str]

    def write(self, path: Path = PATH) -> Path:
        """Writes it as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.model_dump_json(indent=2) + "\n")
        return path


def live_figure(name: str, percentiles: Percentiles) -> Live:
    """A figure that was measured. Raises StackError when it never was."""
    if percentiles.n == 0 or percentiles.p50 is None or percentiles.p95 is None:
        raise StackError(
            f"found no measurement of {name}; expected some: the live shoppers' clicks did not come through"
        )
    return Live(n=percentiles.n, p50=percentiles.p50, p95=percentiles.p95)


def latency(milliseconds: Sequence[float]) -> Latency:
    """Percentiles of the recommendations' latencies. Raises StackError when none was measured."""
    if not milliseconds:
        raise StackError("found no recommendation measured; expected some: the live shoppers got no answer")
    p50, p95, p99 = (float(value) for value in np.percentile(milliseconds, (50, 95, 99)))
    return Latency(n=len(milliseconds), p50=p50, p95=p95, p99=p99)


def traffic(settings: Settings) -> tuple[dict[str, int], dict[str, int]]:
    """Messages in (events, items) and out (what was made of them), by topic. Raises LogUnavailable."""
    counts = message_counts(settings.bootstrap, TOPICS)
    entering = {EVENTS.name, ITEMS.name}
    inner = {HEARTBEATS.name, TRACES.name}
    return (
        {name: count for name, count in counts.items() if name in entering},
        {name: count for name, count in counts.items() if name not in entering | inner},
    )


def figures_line(freshness: FreshnessAnswer, lists: int, clicks: int) -> str:
    """The line that the demo shows while it runs."""

    def words(percentiles: Percentiles) -> str:
        if percentiles.p50 is None or percentiles.p95 is None:
            return "waiting for the first"
        return f"{percentiles.p50:.2f} s (p95 {percentiles.p95:.2f} s, n {percentiles.n})"

    return (
        f"click -> changed ranking {words(freshness.click_to_ranking_s)}   click -> changed weights "
        f"{words(freshness.click_to_weights_s)}   {lists} lists, {clicks} clicks, "
        f"{len(freshness.versions_served)} model versions"
    )
