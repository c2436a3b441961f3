"""A pause between kafka-python's lookups of a group's coordinator.

kafka-python 3.0.12 waits after a lookup that failed, not after one that succeeded. While the brokers still name a
coordinator that is away, each lookup succeeds and its answer is thrown away at once: some 400 requests a second and a
whole core for each member, taken from the brokers that should elect another coordinator.
"""

import time

from kafka import KafkaConsumer

EVERY_S = 0.2


def pace_lookups(consumer: KafkaConsumer) -> None:
    """Makes a member of a group wait until `EVERY_S` have passed since its last lookup; the first goes out at once."""
    coordinator = consumer._coordinator
    send = coordinator._send_group_coordinator_request
    next_s = 0.0

    async def paced() -> object:
        nonlocal next_s
        wait_s = next_s - time.monotonic()
        if wait_s > 0:
            await coordinator._net.sleep(wait_s)
        next_s = time.monotonic() + EVERY_S
        return await send()

    coordinator._send_group_coordinator_request = paced
