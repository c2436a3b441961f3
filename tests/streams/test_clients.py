"""Stopping a client of the log while its broker is away, on a real broker that is killed."""

import asyncio
import logging

import aiokafka
import pytest

from contracts.topics import EVENTS
from streams.clients import stopped
from tests.builders import servers
from tests.streams.lane_work import until

LONG_MS = 60_000


async def test_a_client_that_waits_for_its_next_try_is_stopped_without_a_cancellation(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with servers.running(servers.tansu()) as broker:
        first, second = [await waiting_reader(broker, caplog) for _ in range(2)]
        with pytest.raises(asyncio.CancelledError):
            await first.stop()  # once this is mended there, `stopped` needs only its bound
        await stopped(second)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_client_that_never_stops_is_left_behind() -> None:
    class Deaf:
        async def stop(self) -> None:
            await asyncio.sleep(60)

    async with asyncio.timeout(5):
        await stopped(Deaf(), within_s=0.01)


async def waiting_reader(broker: servers.Server, caplog: pytest.LogCaptureFixture) -> aiokafka.AIOKafkaConsumer:
    """A reader whose fetch has failed, because its broker was killed, and that waits before it tries again."""
    broker.kill()
    broker.start()
    servers.with_topics(broker.address, embedded=True)
    reader = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=broker.address, auto_offset_reset="earliest", retry_backoff_ms=LONG_MS
    )
    await reader.start()
    reader.assign([aiokafka.TopicPartition(EVENTS.name, 0)])
    reader.seek(aiokafka.TopicPartition(EVENTS.name, 0), 0)
    await reader.getmany(timeout_ms=200)
    caplog.clear()
    with caplog.at_level(logging.ERROR, "aiokafka"):
        broker.kill()
        await until(lambda: "Failed fetch messages" in caplog.text)
    return reader
