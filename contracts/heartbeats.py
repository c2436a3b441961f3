"""A sign of life: the value on the compacted topic `heartbeats`, keyed by process.

Serving flags its answers as degraded when a process that they depend on has not beaten for a while.
"""

from typing import Literal

from pydantic import Field

from contracts.bounds import UtcDatetime
from contracts.formats import InternalMessage

ProcessName = Literal["streams", "learner"]


class Heartbeat(InternalMessage):
    """One beat.

    Attributes:
        lag: Messages not yet consumed, by topic.
        waiting: Parts of the process that wait for something outside it, with what that is: a full disk, say.
    """

    process: ProcessName
    at: UtcDatetime
    lag: dict[str, int] = Field(default_factory=dict)
    waiting: dict[str, str] = Field(default_factory=dict)
