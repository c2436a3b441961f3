"""A sign of life: the value on the compacted topic `heartbeats`, keyed by process.

Serving flags its answers as degraded when a process that they depend on has not beaten for a while.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from contracts.events import UtcDatetime

ProcessName = Literal["streams", "learner"]


class Heartbeat(BaseModel):
    """One beat. `lag` is the number of messages not yet consumed, by topic."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    process: ProcessName
    at: UtcDatetime
    lag: dict[str, int] = {}
