"""An archive agent as a process of its own, for tests that kill it: `BOOTSTRAP GROUP SESSION_S DIRECTORY [STEP NTH]`.

It ends itself by SIGKILL once a step of the protocol is done for the nth time since messages were read. Without a step
it archives until it is ended.
"""

import os
import signal
import sys
import threading
from pathlib import Path

from prometheus_client import CollectorRegistry

from eventlog.group import GroupReader
from feature_repo.archive import ArchiveWriter
from streams.agents.archive import ARCHIVED, ArchiveAgent
from streams.metrics import StreamMetrics

FLUSH_EVERY_S = 0.3


class Death:
    """Kills the process at a step."""

    def __init__(self, step: int, nth: int) -> None:
        self._step, self._left = step, nth
        self._read = False

    def done(self, step: int) -> None:
        self._read = self._read or step == 1
        if self._read and step == self._step:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    bootstrap, group, session_s, directory = sys.argv[1:5]
    death = Death(*map(int, sys.argv[5:7])) if len(sys.argv) > 5 else Death(0, 0)
    topics = [topic for topic, _ in ARCHIVED.values()]
    agent = ArchiveAgent(
        open_reader=lambda: GroupReader(bootstrap, group, topics, session_timeout_s=float(session_s)),
        writers={dataset: ArchiveWriter(Path(directory), dataset) for _, dataset in ARCHIVED.values()},
        metrics=StreamMetrics(CollectorRegistry()),
        flush_every_s=FLUSH_EVERY_S,
        done=death.done,
    )
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    agent.start()
    ended.wait()
    agent.stop()


if __name__ == "__main__":
    main()
