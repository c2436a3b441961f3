"""What a replica logs is written at once, to its worker's file in Ray's directory (`session_latest/logs/worker-*.err`).

Serve takes over `sys.stderr` in a replica and keeps a thousand lines back for its access log's sake: a replica that
waits, or is killed, would have said nothing.
"""

import logging
import sys

_QUIET = ("kafka", "httpx", "pymilvus", "feast")


def write_at_once() -> None:
    """Called once by each deployment's constructor."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.__stderr__
    )
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
