"""The supervisor's process: `python -m millstream.stack [--leash PID]`.

It ends on SIGTERM or SIGINT, or, on a leash, when the process of that pid is gone, and takes the whole stack with it.
"""

import argparse
import functools
import logging
import os
import signal
import sys

from contracts.settings import settings
from millstream.stack.client import stack_mark
from millstream.stack.fresh import put_aside_for_restore
from millstream.stack.processes import stack_processes
from millstream.stack.stall import StallWatch, watched_groups
from millstream.stack.state import Phase, state_file
from millstream.stack.supervisor import Supervisor


def main() -> int:
    """Supervises until told to stop. Returns the exit status: 1 when the stack did not start."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--leash", type=int, default=0)
    leash = arguments.parse_args().leash
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    told: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: told.append(received))
    given = settings()
    watch = StallWatch(given, watched_groups(given))
    supervisor = Supervisor(
        stack_processes(given),
        given,
        state_file(given),
        stack_mark(given),
        stalled=watch.stalled,
        log_lost=functools.partial(put_aside_for_restore, given),
    )
    last = supervisor.run(lambda: bool(told) or (leash != 0 and os.getppid() != leash), on_ready=watch.start)
    watch.end()
    return 1 if last is Phase.FAILED else 0


if __name__ == "__main__":
    sys.exit(main())
