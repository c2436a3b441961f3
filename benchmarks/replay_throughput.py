"""Events a second through the whole stream, into a running stack: `python -m benchmarks.replay_throughput`.

From the first event sent until features and examples of the last one are made (lag 0 of the streams). Event ids are
made anew for each run, or the streams would drop them as known.
"""

import argparse
import time

from benchmarks.machine import machine, save
from contracts.clock import utc_now
from contracts.ids import EventId
from contracts.settings import settings
from millstream.sources.complete_journey import demo_log
from millstream.sources.replaying import replay_events, wait_until_consumed


def main() -> None:
    """Measures and prints."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--events", type=int, default=20_000)
    arguments.add_argument("--save", action="store_true")
    given = arguments.parse_args()
    on, configuration = machine(), settings()
    run = f"bench-{time.time_ns()}"
    history = demo_log(utc_now()).history[: given.events]
    events = [event.model_copy(update={"event_id": EventId(f"{run}-{event.event_id}")}) for event in history]
    started = time.perf_counter()
    sent = replay_events(configuration, events, 0.0, lambda done, total, word: None)
    sent_s = time.perf_counter() - started
    wait_until_consumed(configuration, lambda done, total, word: None)
    consumed_s = time.perf_counter() - started
    print(f"{sent} events: sent in {sent_s:.1f} s, consumed after {consumed_s:.1f} s: {sent / consumed_s:.0f} events/s")
    if given.save:
        print("saved:", save("replay_throughput", {"machine": on, "events": sent, "seconds": consumed_s}))


if __name__ == "__main__":
    main()
