"""A gateway's process that kills itself with SIGKILL at a named step of a request's way into the log; see `STEPS`.

`python -m tests.builders.killed_gateway STEP BOOTSTRAP PORT`; with the step "none" it serves until it is ended. Log and
HTTP are real; the stores are in memory.
"""

import os
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import Future

import uvicorn

from contracts.settings import Settings
from eventlog.producer import KafkaLog
from eventlog.tail import KafkaTail
from feature_repo.memory import MemoryFeatureStore, MemoryPictureStore, MemoryVectorIndex
from services.gateway.api import create_api
from services.gateway.feed import FED_BY, NEWEST_OF
from services.gateway.log_writer import LogWriter, Outgoing
from services.gateway.parts import Adapters, build_parts
from services.gateway.wiring import LINGER_MS
from tests.services.doubles import FakeEmbedder

STEPS = ("received", "handed over", "acknowledged")


def die() -> None:
    """Ends this process as a power cut does."""
    os.kill(os.getpid(), signal.SIGKILL)


def arm(step: str) -> None:
    """Makes a step of this process its last one."""
    publish, hand_over = LogWriter.publish, LogWriter._hand_over

    async def published(self: LogWriter, messages: Sequence[Outgoing]) -> None:
        if step == "received":
            die()
        await publish(self, messages)
        die()

    def handed_over(self: LogWriter, messages: list[Outgoing]) -> list[Future[None]]:
        handed = hand_over(self, messages)
        die()
        return handed

    if step in ("received", "acknowledged"):
        LogWriter.publish = published  # type: ignore[method-assign]
    if step == "handed over":
        LogWriter._hand_over = handed_over  # type: ignore[method-assign]


def main() -> None:
    """Serves until the step, or until a signal."""
    step, bootstrap, port = sys.argv[1:]
    arm(step)
    adapters = Adapters(
        log=KafkaLog(bootstrap, "gateway", LINGER_MS),
        tail=KafkaTail(bootstrap, FED_BY, newest_of=NEWEST_OF),
        features=MemoryFeatureStore(),
        index=MemoryVectorIndex(),
        pictures=MemoryPictureStore(),
        embedder=FakeEmbedder(),
        load_model=lambda version: None,
    )
    api = create_api(build_parts(Settings(kafka_bootstrap=bootstrap), adapters))
    uvicorn.run(api, host="127.0.0.1", port=int(port), log_level="warning")


if __name__ == "__main__":
    main()
