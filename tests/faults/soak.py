"""The soak: a million events, a fault every twenty seconds, and in the end every state and example as the log says.

    python -m tests.faults.soak --events 1000000 --rate 600

Two workers (at times three or one) on three real brokers; the faults are drawn by a seed that is printed, each twenty
seconds after the one before is healed. Ends with the verdict as JSON, which `--save` keeps; exits with 1 where anything
differs.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.machine import machine, save
from tests.faults.fleet import Fleet, under_load
from tests.faults.verdict import judge

FAULT_EVERY_S = 20.0
LIMIT_S = 4 * 3600.0


class Faults:
    """Draws faults and does them; each leaves at least one worker that runs.

    Args:
        fleet: The fleet.
        seed: Of the draws.
    """

    def __init__(self, fleet: Fleet, seed: int):
        self._fleet = fleet
        self._random = random.Random(seed)
        self.done: dict[str, int] = {}

    def one(self) -> str:
        """Does a fault and what heals it; returns its name."""
        kinds: dict[str, Callable[[], None]] = {
            "kill -9": self._kill, "SIGTERM": self._end, "SIGSTOP 8 s": lambda: self._stop(8.0),
            "SIGSTOP 40 s": lambda: self._stop(40.0), "scale to three and back": self._scale,
            "broker killed": self._broker, "quorum lost": self._quorum,
        }  # fmt: skip
        name = self._random.choices(list(kinds), weights=[6, 4, 3, 1, 2, 2, 1])[0]
        kinds[name]()
        self.done[name] = self.done.get(name, 0) + 1
        return name

    def _drawn(self) -> int:
        return self._random.choice((1, 2))

    def _kill(self) -> None:
        number = self._drawn()
        self._fleet.kill(number)
        time.sleep(self._random.choice((0.0, 8.0)))
        self._fleet.start(number)

    def _end(self) -> None:
        number = self._drawn()
        self._fleet.end(number)
        self._fleet.start(number)

    def _stop(self, for_s: float) -> None:
        with self._fleet.stopped(self._drawn()):
            time.sleep(for_s)

    def _scale(self) -> None:
        self._fleet.start(3)
        time.sleep(15)
        self._fleet.end(3)

    def _broker(self) -> None:
        self._fleet.cluster.kill_broker(self._random.choice((1, 2, 3)))
        time.sleep(8)
        self._fleet.cluster.start_brokers()

    def _quorum(self) -> None:
        for number in self._random.sample((1, 2, 3), 2):
            self._fleet.cluster.kill_broker(number)
        time.sleep(8)
        self._fleet.cluster.start_brokers()


def soak(events: int, rate: int, seed: int, root: Path) -> dict[str, object]:
    """Runs it; returns what came out."""
    started_s = time.monotonic()
    with under_load(root, rate, brokers=3, seed=seed) as (fleet, load):
        faults = Faults(fleet, seed)
        for number in (1, 2):
            fleet.start(number)
        load.start()
        for number in (1, 2):
            fleet.wait_until_folding(number, 300)
        while load.sent < events and time.monotonic() - started_s < LIMIT_S:
            time.sleep(FAULT_EVERY_S)
            name = faults.one()
            for number in (1, 2):
                if fleet.workers[number].process.poll() is not None:
                    fleet.start(number)  # as a supervisor does with a worker that gave itself up
            print(f"{time.monotonic() - started_s:7.0f} s  {load.sent:9,d} events  {name}", flush=True)
        load.stop()
        fleet.wait_until_caught_up(1800)
        verdict = judge(fleet, load)
    return {
        "seed": seed, "events": verdict.events, "acknowledged": len(load.acknowledged),
        "not_acknowledged": load.failed, "faults": faults.done, "seconds": round(time.monotonic() - started_s),
        "differences": verdict.differences(),
    }  # fmt: skip


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rate", type=int, default=600, help="events a second")
    parser.add_argument("--seed", type=int, default=round(time.time()))
    parser.add_argument("--save", action="store_true")
    given = parser.parse_args()
    on = machine()
    print(f"seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="millstream-soak-") as directory:
        found = soak(given.events, given.rate, given.seed, Path(directory))
    print(json.dumps(found, indent=2))
    if given.save:
        print("saved:", save("soak", {"machine": on, "events_a_second": given.rate, **found}))
    return 1 if found["differences"] else 0


if __name__ == "__main__":
    sys.exit(main())
