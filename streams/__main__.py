"""The process `python -m streams`: builds the worker from the settings, runs it, stops cleanly on a signal.

Start-up: 1. metrics are served; 2. the catalogue's attributes are read to the end; 3. the writers and the archive
start; 4. the worker starts and joins the group. Stopping goes backwards: the lanes finish, what is done is committed,
the writers write what waits.
"""

import asyncio
import gc
import logging
import sys

import faust

from contracts.settings import settings
from streams.wiring import build

log = logging.getLogger("streams")

SWITCH_INTERVAL_S = 0.0005
"""A tenth of Python's default: the event loop gives the interpreter away at each poll, and would wait that long for it
back whenever the archive or a feature writer computes."""

GC_THRESHOLDS = (50_000, 20, 50)
"""Decoding states makes many containers, and Feast's imports fill the heap that a full collection walks: what was
imported is frozen, and collections come less often."""


def main() -> None:
    """Runs until a signal; exits with 0 then, and with another status after a crash or a stall."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("aiokafka", "kafka", "httpx", "faust", "mode"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    config = settings()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    app, parts = build(config)
    _tune_interpreter()
    parts.start()
    worker = faust.Worker(app, loop=loop, quiet=True, override_logging=False, redirect_stdouts=False)
    log.info("streams started: broker %s, state in %s", config.bootstrap, config.streams_dir)
    try:
        worker.execute_from_commandline()
    finally:
        parts.stop()


def _tune_interpreter() -> None:
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


if __name__ == "__main__":
    main()
