"""Faust's aiokafka transport in front of Tansu, the embedded broker; Apache Kafka keeps the stock one.

Tansu answers ListOffsets(LATEST) with the base offset of the last batch plus one, so stock Faust recovers a table only
up to there. Here the high watermark comes from a fetch response. The fetch wait, fixed at 1.5 s in Faust, is shortened:
Tansu holds a fetch open for the whole of it even when messages come.
"""

import time
from collections.abc import Iterable, Mapping

import aiokafka
from aiokafka import TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from contracts.errors import LogUnavailable

FETCH_WAIT_MS = 50
"""How long the broker may hold a fetch: short is fresh, but at 20 ms Tansu stalls on a partition of many batches."""

WATERMARK_TIMEOUT_S = 20.0


async def high_watermarks(
    bootstrap: str | list[str], partitions: Iterable[TP], timeout_s: float = WATERMARK_TIMEOUT_S
) -> dict[TP, int]:
    """The offset after the last message of each partition, as fetch responses tell it.

    Args:
        bootstrap: Bootstrap servers.
        partitions: Whose ends are asked.
        timeout_s: How long the fetches may take.

    Raises:
        LogUnavailable: a partition was not answered in time. A guess would lose table rows.
    """
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=FETCH_WAIT_MS,
    )
    await consumer.start()
    try:
        asked = {TopicPartition(tp.topic, tp.partition): tp for tp in partitions}
        bases = await consumer.end_offsets(list(asked))
        ends = {asked[partition]: 0 for partition, base in bases.items() if base == 0}
        open_still = {partition for partition, base in bases.items() if base > 0}
        if open_still:
            consumer.assign(sorted(open_still))
            for partition in open_still:
                consumer.seek(partition, bases[partition] - 1)
        deadline = time.monotonic() + timeout_s
        while open_still:
            await consumer.getmany(timeout_ms=FETCH_WAIT_MS)
            for partition in sorted(open_still):
                watermark = consumer.highwater(partition)
                if watermark is not None and watermark >= bases[partition]:
                    ends[asked[partition]] = watermark
                    open_still.discard(partition)
                    consumer.pause(partition)
            if open_still and time.monotonic() > deadline:
                raise LogUnavailable(
                    f"found no fetch response from {bootstrap} for {sorted(open_still)} within {timeout_s} s; expected "
                    "their high watermarks; restart the broker and the streams"
                )
        return ends
    finally:
        await consumer.stop()


class TansuConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """The consumer's thread with true high watermarks and a short fetch wait."""

    def _create_worker_consumer(self, transport: "TansuTransport") -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer

    async def _highwaters(self, partitions: list[TP]) -> Mapping[TP, int]:
        servers = driver.server_list(self.transport.url, self.transport.default_port)
        found = await high_watermarks(servers, partitions)
        return {tp: found[tp] for tp in partitions}


class TansuConsumer(driver.Consumer):  # type: ignore[misc]
    """A Faust consumer whose thread is `TansuConsumerThread`."""

    def _new_consumer_thread(self) -> TansuConsumerThread:
        return TansuConsumerThread(self, loop=self.loop, beacon=self.beacon)


class TansuTransport(driver.Transport):  # type: ignore[misc]
    """What `create_app` gives Faust in front of the embedded broker."""

    Consumer = TansuConsumer
