"""What a start costs with many users: seconds until every partition is open, and the memory of the process.

    python -m benchmarks.restart_with_many_users --users 1000000

The users are made, not replayed: their states are written to a worker's copies and, as a note of their end, to the
changelogs; then a real worker starts on a real Apache Kafka, and a click of a known user must be in the features.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import aiokafka
import msgspec
import psutil

from benchmarks.machine import machine, save
from contracts.clock import to_ms, utc_now
from contracts.events import Click
from contracts.ids import EventId, ItemId, UserId
from contracts.topics import EVENTS
from contracts.wire import encode
from eventlog.producer import KafkaLog
from feature_repo.online import FeastStore
from feature_repo.store_config import apply
from streams.changelog import headers_of
from streams.changelogs import USERS, changelog_topic, create_changelogs
from streams.state.admission import Place
from streams.state.rules import Rules
from streams.state.user_state import UserState, step
from streams.state_db import Record, StateDb
from tests.builders import servers
from tests.faults.fleet import Fleet

INTERACTIONS = 50
BATCH = 2000


def ordinary_user() -> UserState:
    """A user with a full history: 50 clicks over some days."""
    state, start = UserState(), utc_now() - timedelta(days=3)
    for number in range(INTERACTIONS):
        event = Click(
            event_id=EventId(f"evt-01a206bbe1aae0bfbed464{number:06d}"), user_id=UserId("user"),
            item_id=ItemId(f"item-{1_000_000 + number}"), at=start + timedelta(minutes=97 * number // 2),
        )  # fmt: skip
        state = step(state, event, None, Place(0, number), Rules()).state
    return state


async def note_the_end(bootstrap: str, topic: str, records: dict[int, Record]) -> dict[int, int]:
    """Writes one record to each partition of the changelog; returns their offsets."""
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        return {
            partition: (
                await producer.send_and_wait(
                    topic, record.value, record.key, partition=partition, headers=headers_of(record)
                )
            ).offset
            for partition, record in records.items()
        }
    finally:
        await producer.stop()


def measure(users: int, root: Path) -> dict[str, object]:
    """Makes the users, starts a worker, and measures."""
    with servers.kafka_cluster(root / "kafka") as cluster:
        servers.with_topics(cluster.bootstrap, embedded=False)
        fleet = Fleet(cluster, root, own_directories=False)
        settings = fleet.settings(1)
        apply(settings)
        create_changelogs(settings)
        state = ordinary_user()
        raw = {number: msgspec.msgpack.encode((number, state)) for number in range(EVENTS.partitions)}
        topic = changelog_topic(settings.app_id, USERS)
        last = {number: Record(f"user-{number}-0".encode(), raw[number], 1, None, 1) for number in raw}
        ends = asyncio.run(note_the_end(cluster.bootstrap, topic, last))
        folder = settings.streams_dir / "worker-0"
        bytes_on_disk = 0
        for number in range(EVENTS.partitions):
            copy = StateDb(folder / f"users-{number}.sqlite")
            of_partition = users // EVENTS.partitions
            seen_ms = to_ms(utc_now())
            for start in range(0, of_partition, BATCH):
                records = [
                    Record(f"user-{number}-{place}".encode(), raw[number], 1, None, seen_ms)
                    for place in range(start, min(start + BATCH, of_partition))
                ]
                copy.apply(records, ends[number])
            copy.close()
            bytes_on_disk += (folder / f"users-{number}.sqlite").stat().st_size
        # The store is whole: this measures a restart, not a refill.
        store = FeastStore(settings)
        for name in [f"users/{number}" for number in range(4)] + [f"items/{number}" for number in range(4)]:
            store.write_mark(name)
        started_s = time.monotonic()
        worker = fleet.start(1)
        try:
            log = KafkaLog(cluster.bootstrap, "restart", 5)
            user = UserId("user-0-0")
            # A key goes where the producer puts it: ask for a user of each partition until one is known there.
            for place in range(64):
                for number in range(EVENTS.partitions):
                    user = UserId(f"user-{number}-{place}")
                    click = Click(event_id=EventId(f"new-{user}"), user_id=user, item_id=ItemId("new"), at=utc_now())
                    log.publish(EVENTS, user, encode(click))
            log.flush(20)
            known: float | None = None
            while known is None and time.monotonic() - started_s < 300:
                for place in range(64):
                    for number in range(EVENTS.partitions):
                        row = store.read_user(UserId(f"user-{number}-{place}"))
                        if row is not None and row.event_count == INTERACTIONS + 1:
                            known = time.monotonic() - started_s
                time.sleep(0.2)
            resident = psutil.Process(worker.process.pid).memory_info().rss
            log.close()
        finally:
            fleet.close()
    return {
        "users": users, "bytes_a_state": len(raw[0]), "gigabytes_on_disk": round(bytes_on_disk / 1e9, 2),
        "seconds_to_a_known_users_row": None if known is None else round(known, 1),
        "resident_megabytes": round(resident / 1e6),
    }  # fmt: skip


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--save", action="store_true")
    given = parser.parse_args()
    on = machine()
    with tempfile.TemporaryDirectory(prefix="millstream-restart-") as directory:
        found = measure(given.users, Path(directory))
    print(json.dumps(found, indent=2))
    if given.save:
        print("saved:", save("restart_with_many_users", {"machine": on, **found}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
