"""Where a partition truly ends, on Apache Kafka and on the embedded broker alike: the high watermark of a fetch.

Tansu answers ListOffsets(LATEST) with the base offset of the last batch plus one; the watermark in a fetch response is
right on both.
"""

import asyncio

import aiokafka
from aiokafka import TopicPartition

FETCH_WAIT_MS = 50
"""How long the broker may hold a fetch: short is fresh, but at 20 ms Tansu stalls on a partition of many batches.

The client has one fetch a broker in flight: a partition whose messages were taken waits for it before it is fetched.
"""

END_TIMEOUT_S = 20.0


async def end_of(consumer: aiokafka.AIOKafkaConsumer, where: TopicPartition) -> int:
    """The offset behind the last message of a partition that is assigned to the consumer, which this moves.

    Raises:
        KafkaError, TimeoutError: the broker did not answer. A guess would lose states.
    """
    base = int((await consumer.end_offsets([where]))[where])
    if base == 0:
        return 0
    consumer.seek(where, base - 1)
    async with asyncio.timeout(END_TIMEOUT_S):
        while True:
            await consumer.getmany(where, timeout_ms=FETCH_WAIT_MS)
            watermark = consumer.highwater(where)
            if watermark is not None and watermark >= base:
                return int(watermark)
