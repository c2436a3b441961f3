import asyncio
from types import SimpleNamespace

import faust
import pytest
from aiokafka.errors import KafkaTimeoutError

from contracts.errors import LogUnavailable
from contracts.settings import Settings
from streams.app import create_app, user_table
from streams.state.user_state import UserState
from streams.tables import PartitionedTable


class Changelog:
    """Stands in front of a Faust table and keeps what would go to its changelog."""

    def __init__(self, table: faust.Table) -> None:
        self.sent: list[tuple[int, bytes]] = []
        self.broken = False
        table.send_changelog = self.send

    def send(self, partition: int, key: bytes, value: bytes) -> "asyncio.Future[SimpleNamespace]":
        future: asyncio.Future[SimpleNamespace] = asyncio.get_running_loop().create_future()
        if self.broken:
            future.set_exception(KafkaTimeoutError())
        else:
            self.sent.append((partition, key))
            future.set_result(SimpleNamespace())
        return future


@pytest.fixture
def faust_table(local_settings: Settings) -> faust.Table:
    return user_table(create_app(local_settings, broker="kafka://127.0.0.1:1", store="memory://"))


async def test_a_state_goes_to_the_changelog_of_its_own_partition_and_comes_back(faust_table: faust.Table) -> None:
    changelog, table = Changelog(faust_table), PartitionedTable(faust_table, UserState)
    await table.put(2, {"ann": UserState()})
    assert changelog.sent == [(2, b"ann")]
    assert table.get(2, "ann") == UserState()
    assert table.get(2, "bob") is None


async def test_nothing_is_written_locally_when_the_changelog_does_not_acknowledge(faust_table: faust.Table) -> None:
    changelog, table = Changelog(faust_table), PartitionedTable(faust_table, UserState)
    changelog.broken = True
    with pytest.raises(LogUnavailable, match="changelog"):
        await table.put(0, {"ann": UserState()})
    assert table.get(0, "ann") is None


async def test_only_rows_of_owned_partitions_are_listed(faust_table: faust.Table) -> None:
    Changelog(faust_table)
    table = PartitionedTable(faust_table, UserState)
    await table.put(0, {"ann": UserState()})
    await table.put(3, {"bob": UserState()})
    assert [(partition, key) for partition, key, _ in table.owned({3})] == [(3, "bob")]
