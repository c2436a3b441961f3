"""How much each process grows while shoppers shop: `python -m benchmarks.memory_growth --minutes 60 --kafka --save`.

A headless demo runs for so long, on the embedded broker or on an Apache Kafka beside the checkout; once a minute the
resident memory of each process is noted. Growth is counted from the tenth minute after the shop opened.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.machine import machine, save
from tests.builders import servers

FROM_MINUTE = 10
ROLES = {
    "streams": ("-m", "streams"),
    "learner": ("-m", "training.incremental"),
    "serving driver": ("-m", "services"),
}


def main() -> None:
    """Runs the demo and prints the growth of each process."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=60)
    arguments.add_argument("--kafka", action="store_true")
    arguments.add_argument("--save", action="store_true")
    given = arguments.parse_args()
    on = machine()
    with _broker(given.kafka) as environment:
        series = _watched(given.minutes, environment)
    found = {}
    for role, sizes in sorted(series.items()):
        settled = sizes[min(FROM_MINUTE, len(sizes) - 1)]
        growth = sizes[-1] / settled - 1
        found[role] = {"megabytes_by_minute": [round(size / 1e6) for size in sizes], "growth": round(growth, 4)}
        print(f"{role:20} {settled / 1e6:6.0f} MB settled, {sizes[-1] / 1e6:6.0f} MB at the end: {growth:+.1%}")
    if given.save:
        name = "memory_growth_kafka" if given.kafka else "memory_growth"
        print("saved:", save(name, {"machine": on, "minutes": given.minutes, "processes": found}))


@contextmanager
def _broker(kafka: bool) -> Iterator[dict[str, str]]:
    if not kafka:
        yield {}
        return
    with tempfile.TemporaryDirectory() as directory, servers.kafka_cluster(Path(directory)) as cluster:
        yield {"MILLSTREAM_KAFKA_BOOTSTRAP": cluster.bootstrap}


def _watched(minutes: float, environment: dict[str, str]) -> dict[str, list[int]]:
    command = [sys.executable, "-m", "millstream", "demo", "--seconds", str(minutes * 60)]
    demo = subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.PIPE, text=True)
    assert demo.stdout is not None
    for line in demo.stdout:
        print(line, end="", flush=True)
        if "the shop is open" in line:
            break
    series: dict[str, list[int]] = {}
    due_s = time.monotonic()
    while demo.poll() is None:
        for role, size in _sizes().items():
            series.setdefault(role, []).append(size)
        due_s += 60
        while demo.poll() is None and time.monotonic() < due_s:
            time.sleep(1)
        print(f"minute {len(next(iter(series.values()), []))}", flush=True)
    # The last sample may have met processes that end.
    return {role: sizes[:-1] for role, sizes in series.items() if len(sizes) > 2}


def _sizes() -> dict[str, int]:
    sizes: dict[str, int] = {}
    for process in psutil.process_iter():  # the stack's processes are no children of the demo's
        try:
            role = _role(process)
            if role:
                sizes[role] = max(sizes.get(role, 0), process.memory_info().rss)
        except psutil.Error:
            continue
    return sizes


def _role(process: psutil.Process) -> str | None:
    command = process.cmdline()
    if any("ServeReplica" in part for part in command):
        return " ".join(command)[:60].strip()
    for role, words in ROLES.items():
        if any(tuple(command[place : place + 2]) == words for place in range(len(command) - 1)):
            return role
    return None


if __name__ == "__main__":
    main()
