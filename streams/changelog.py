"""The changelog of a table: every state's newest version in a compacted topic, in the partitions of its source topic.

It is the truth; a worker's local copy can be thrown away. A message is key, state, and three headers (mark, oldest
window's begin, newest event time), so that a copy is brought up to date without decoding a single state.
"""

import asyncio
import contextlib
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any, Protocol

import aiokafka
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from contracts.errors import LogUnavailable, MessageTooLarge, UnknownFormat
from streams.clients import stopped
from streams.ends import FETCH_WAIT_MS, end_of
from streams.state_db import Rebuilt, Record

FORMAT = b"1"
"""Version of the headers. The state's own version stands in its bytes."""

REBUILT = b"\xff\x00rebuilt"
"""Key of the one message that is no state, the first of a changelog that a rebuild has made: see `Rebuilt`. It is no
UTF-8, so that no id, however strange, is the same bytes."""

NAMES_AT_MOST = 8
"""Workers that start at the same moment may all name a new changelog: the last name counts."""

ACKNOWLEDGE_TIMEOUT_S = 15.0
READ_TIMEOUT_S = 30.0
READ_AT_ONCE = 2000
NONE_MS = -(1 << 63)

_MARKS = struct.Struct(">qqq")

Numbered = tuple[int, Record]
"""A record and its offset in the changelog."""


class Changelog(Protocol):
    """One table's changelog."""

    async def append(self, partition: int, records: Sequence[Record]) -> list[int]:
        """Appends the records and returns their offsets once all are acknowledged. Raises LogUnavailable."""
        ...

    async def bounds(self, partition: int) -> tuple[int, int]:
        """The first offset that is kept and the offset behind the last one. Raises LogUnavailable."""
        ...

    async def origin(self, partition: int) -> bytes:
        """Names the changelog: empty for one without a name. Raises LogUnavailable."""
        ...

    def read(self, partition: int, start: int, end: int) -> AsyncIterator[tuple[list[Numbered], int]]:
        """Batches of records from `start` to `end` or somewhat further, each with its last offset.

        Raises LogUnavailable, UnknownFormat.
        """
        ...


class KafkaChangelog:
    """A changelog topic, written through a producer that all tables of the worker share.

    Attributes:
        producer: Set, started, before the first `append`.

    Args:
        bootstrap: Bootstrap servers, for reading.
        topic: The topic's name.
    """

    producer: aiokafka.AIOKafkaProducer

    def __init__(self, bootstrap: str, topic: str):
        self._bootstrap = bootstrap
        self._topic = topic

    async def append(self, partition: int, records: Sequence[Record]) -> list[int]:
        """As the protocol says."""
        try:
            async with asyncio.timeout(ACKNOWLEDGE_TIMEOUT_S):
                sent = [
                    await self.producer.send(
                        self._topic, record.value, record.key, partition=partition, headers=headers_of(record)
                    )
                    for record in records
                ]
                return [metadata.offset for metadata in await asyncio.gather(*sent)]
        except (MessageSizeTooLargeError, RecordListTooLargeError) as error:
            raise MessageTooLarge(
                f"found {error} from the changelog {self._topic!r}; expected states that it takes"
            ) from error
        except (KafkaError, TimeoutError) as error:
            raise LogUnavailable(
                f"found {type(error).__name__} ({error}) from the changelog {self._topic!r}; expected an "
                f"acknowledgement within {ACKNOWLEDGE_TIMEOUT_S} s; check the broker"
            ) from error

    async def bounds(self, partition: int) -> tuple[int, int]:
        """As the protocol says."""
        async with self._reader(partition) as (consumer, where):
            begin = (await consumer.beginning_offsets([where]))[where]
            return begin, await end_of(consumer, where)

    async def origin(self, partition: int) -> bytes:
        """As the protocol says."""
        begin, end = await self.bounds(partition)
        async with contextlib.aclosing(self.read(partition, begin, min(end, begin + 1))) as batches:
            async for batch, _ in batches:
                found = rebuilt(batch[:NAMES_AT_MOST])
                return b"" if found is None else found.origin
        return b""

    async def read(self, partition: int, start: int, end: int) -> AsyncGenerator[tuple[list[Numbered], int]]:
        """As the protocol says."""
        if start >= end:
            return
        async with self._reader(partition) as (consumer, where):
            consumer.seek(where, start)
            position = start
            while position < end:
                async with asyncio.timeout(READ_TIMEOUT_S):
                    batch: list[Any] = []
                    while not batch:
                        got = await consumer.getmany(where, timeout_ms=FETCH_WAIT_MS * 4, max_records=READ_AT_ONCE)
                        batch = got.get(where, [])
                position = batch[-1].offset + 1
                yield [(each.offset, record_of(each)) for each in batch], position - 1

    @contextlib.asynccontextmanager
    async def _reader(self, partition: int) -> AsyncIterator[tuple[aiokafka.AIOKafkaConsumer, TopicPartition]]:
        consumer = aiokafka.AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap.split(","),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=FETCH_WAIT_MS,
            max_partition_fetch_bytes=4 * 1024 * 1024,
        )
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                await consumer.start()
            where = TopicPartition(self._topic, partition)
            consumer.assign([where])
            yield consumer, where
        except (KafkaError, TimeoutError) as error:
            raise LogUnavailable(
                f"found {type(error).__name__} ({error}) while reading the changelog {self._topic!r}, partition "
                f"{partition}; expected its records; check the broker"
            ) from error
        finally:
            await stopped(consumer)


def headers_of(record: Record) -> list[tuple[str, bytes]]:
    """The headers of a record's message."""
    opened_ms = NONE_MS if record.opened_ms is None else record.opened_ms
    return [("format", FORMAT), ("marks", _MARKS.pack(record.mark, opened_ms, record.seen_ms))]


def record_of(message: Any) -> Record:
    """The record of a message.

    Raises:
        UnknownFormat: its headers are of another version, or are not there.
    """
    headers = dict(message.headers)
    if headers.get("format") != FORMAT:
        raise UnknownFormat(
            f"found format {headers.get('format')!r} at offset {message.offset} of the changelog {message.topic!r}; "
            f"expected {FORMAT!r}; stop the streams and run `millstream rebuild`, which makes the states anew from the "
            "log"
        )
    mark, opened_ms, seen_ms = _MARKS.unpack(headers["marks"])
    return Record(message.key, message.value, mark, None if opened_ms == NONE_MS else opened_ms, seen_ms)


def rebuilt(records: Sequence[Numbered]) -> Rebuilt | None:
    """What the newest `REBUILT` among the records says; None where there is none."""
    found = [Rebuilt(record.mark, record.value or b"") for _, record in records if record.key == REBUILT]
    return found[-1] if found else None
