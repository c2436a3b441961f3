"""How long users wait through a rebalance: `python -m benchmarks.rebalance_wait [--save]`.

Two real workers on a real Apache Kafka under load; one is ended (SIGTERM) and started again, then killed (-9) and
started again. For each event: the time between its message and that of the example that it made, by the broker's clock.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer

from benchmarks.machine import machine, save
from contracts.events import Click
from contracts.examples import TrainingExample
from contracts.topics import EVENTS, FEEDBACK, Topic
from contracts.wire import decode
from eventlog.ends import partitions_of, true_ends
from eventlog.tail import connect
from tests.faults.fleet import under_load

RATE = 150


def main() -> None:
    """Runs it and prints the waits of the two phases."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--save", action="store_true")
    given = arguments.parse_args()
    on = machine()
    with tempfile.TemporaryDirectory() as directory:
        found = _measured(Path(directory))
    print(json.dumps(found, indent=2))
    if given.save:
        print("saved:", save("rebalance_wait", {"machine": on, "events_a_second": RATE, **found}))


def _measured(root: Path) -> dict[str, dict[str, float]]:
    with under_load(root, RATE, own_directories=True) as (fleet, load):
        for number in (1, 2):
            fleet.start(number)
        load.start()
        for number in (1, 2):
            fleet.wait_until_folding(number)
        time.sleep(5)
        marks = [time.time()]
        fleet.end(2)
        fleet.start(2)
        fleet.wait_until_folding(2)
        time.sleep(3)
        marks.append(time.time())
        fleet.kill(2)
        time.sleep(8)
        fleet.start(2)
        fleet.wait_until_folding(2)
        time.sleep(3)
        marks.append(time.time())
        load.stop()
        fleet.wait_until_caught_up()
        waits = _waits(fleet.cluster.bootstrap)
    return {
        name: _figures([wait_s for at_s, wait_s in waits if start <= at_s < end])
        for name, start, end in (("ended and back", marks[0], marks[1]), ("killed and back", marks[1], marks[2]))
    }


def _waits(bootstrap: str) -> list[tuple[float, float]]:
    """(when the event was logged, how long its example took) in seconds, of all clicks."""
    logged: dict[str, float] = {}
    for record in _records(bootstrap, EVENTS):
        if b'"kind":"click"' in record.value:
            logged[decode(Click, record.value).event_id] = record.timestamp / 1000
    waits: dict[str, tuple[float, float]] = {}
    for record in _records(bootstrap, FEEDBACK):
        example = decode(TrainingExample, record.value)
        if example.event_id in logged and example.event_id not in waits:
            at_s = logged[example.event_id]
            waits[example.event_id] = (at_s, record.timestamp / 1000 - at_s)
    return sorted(waits.values())


def _records(bootstrap: str, topic: Topic) -> list[Any]:
    consumer: KafkaConsumer = connect(bootstrap)
    try:
        partitions = partitions_of(consumer, [topic])
        ends = true_ends(consumer, partitions)
        consumer.assign(partitions)
        consumer.seek_to_beginning()
        consumer.resume(*partitions)
        records: list[Any] = []
        while sum(ends.values()) > len(records):
            for batch in consumer.poll(timeout_ms=1000).values():
                records += batch
        return records
    finally:
        consumer.close(autocommit=False, timeout_ms=1000)


def _figures(waits_s: list[float]) -> dict[str, float]:
    ordered = sorted(waits_s)
    return {
        "events": len(ordered), "p50_s": round(ordered[len(ordered) // 2], 2),
        "p99_s": round(ordered[int(len(ordered) * 0.99)], 2), "max_s": round(ordered[-1], 2),
    }  # fmt: skip


if __name__ == "__main__":
    main()
