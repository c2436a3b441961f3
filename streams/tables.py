"""A Faust table read and written by source partition, with a write that is done only when the changelog has it.

Faust takes the partition of a table key from the event that is being iterated; in a batch that is the last event, not
the key's own. Here the partition is an argument. Values are msgpack of (partition, state): the partition says, without
trust in the table's own iteration, which rows are owned.
"""

import asyncio
import weakref
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Generic, TypeVar

import faust
import msgspec
from aiokafka.errors import KafkaError
from faust.streams import _current_event

from contracts.errors import LogUnavailable

State = TypeVar("State", bound=msgspec.Struct)
Key = TypeVar("Key", bound=str)

CHANGELOG_TIMEOUT_S = 30.0


@dataclass(eq=False)
class _At:
    """Stands for the event that Faust's stores ask for the partition."""

    message: SimpleNamespace


class PartitionedTable(Generic[State]):
    """The states of one kind, by key, in the partition of the messages that they were folded from.

    Args:
        table: A Faust table of raw bytes.
        state: The state's type.
    """

    def __init__(self, table: faust.Table, state: type[State]):
        self._table = table
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(tuple[int, state])  # type: ignore[valid-type]
        self._at: dict[int, _At] = {}

    def get(self, partition: int, key: str) -> State | None:
        """The state of a key; None for a key never written in this partition."""
        self._enter(partition)
        raw = self._table.data.get(key.encode())
        if raw is None:
            return None
        found: tuple[int, State] = self._decoder.decode(raw)
        return found[1] if found[0] == partition else None

    async def put(self, partition: int, states: Mapping[Key, State]) -> None:
        """Writes the states: to the changelog, and once that is acknowledged, locally.

        Raises:
            LogUnavailable: the changelog did not acknowledge. Nothing was written locally; fold the batch again.
        """
        if not states:
            return
        raw = {key.encode(): self._encoder.encode((partition, state)) for key, state in states.items()}
        sent = [self._table.send_changelog(partition, key, value) for key, value in raw.items()]
        try:
            await asyncio.wait_for(asyncio.gather(*sent), CHANGELOG_TIMEOUT_S)
        except (KafkaError, TimeoutError) as error:
            raise LogUnavailable(
                f"found {type(error).__name__} ({error}) from the changelog of table {self._table.name!r}; expected an "
                f"acknowledgement within {CHANGELOG_TIMEOUT_S} s; check the broker"
            ) from error
        self._enter(partition)
        for key, value in raw.items():
            self._table.data[key] = value

    def owned(self, partitions: Set[int]) -> Iterator[tuple[int, str, State]]:
        """Rows of the given partitions as (partition, key, state). Read-only: rows may change while it runs."""
        items: Any = self._table.data.items()
        for key, raw in items:
            partition, state = self._decoder.decode(raw)
            if partition in partitions:
                yield partition, key.decode(), state

    def _enter(self, partition: int) -> None:
        at = self._at.get(partition)
        if at is None:
            at = self._at[partition] = _At(SimpleNamespace(partition=partition))
        _current_event.set(weakref.ref(at))
