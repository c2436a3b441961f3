"""Feast's online stores, SQLite and Redis, made to keep the newest row: Feast calls them by name (`store_config.py`).

Comparing event times and writing are one step here, so that of two processes that write one entity the newer row stays:
a row may wait in a worker whose partition has moved to another. `AS_OF_US` is compared, for Feast's own times are whole
seconds in SQLite, and its Redis drops equal ones. Rows can be deleted too, for which Feast has no call.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal

import redis
from google.protobuf.timestamp_pb2 import Timestamp

from feature_repo.engine import (
    EntityKey,
    FeatureView,
    RedisOnlineStore,
    RedisOnlineStoreConfig,
    RepoConfig,
    SqliteOnlineStore,
    SqliteOnlineStoreConfig,
    Value,
    field_hash,
    serialize_entity_key,
    sqlite_table,
)
from feature_repo.views import AS_OF_US

Row = tuple[EntityKey, dict[str, Value], datetime, datetime | None]
"""As Feast hands over a row: whose it is, its fields, its event time, when it was made."""

TRIES = 10
"""Writes of one batch to Redis: another process wrote one of its rows in between each time before the last fails."""


class NewestSqliteOnlineStoreConfig(SqliteOnlineStoreConfig):  # type: ignore[misc]
    """Feast's configuration of its SQLite store, under this store's name."""

    type: Literal["feature_repo.newest_rows.NewestSqliteOnlineStore"] = (
        "feature_repo.newest_rows.NewestSqliteOnlineStore"
    )


class NewestSqliteOnlineStore(SqliteOnlineStore):  # type: ignore[misc]
    """SQLite: one transaction, whose lock is taken before the times are read. A batch has less than 999 rows."""

    def online_write_batch(
        self, config: RepoConfig, table: FeatureView, data: list[Row], progress: Callable[[int], Any] | None
    ) -> None:
        """Writes the rows that are not older than the stored ones; Feast calls it."""
        connection = self._get_conn(config)
        connection.execute("BEGIN IMMEDIATE")
        try:
            keys = [_key_bytes(config, row[0]) for row in data]
            found = connection.execute(
                f"SELECT entity_key, value FROM {_quoted(config, table)} "  # noqa: S608 - a name of our own
                f"WHERE feature_name = ? AND entity_key IN ({_placeholders(keys)})",
                [AS_OF_US, *keys],
            )
            stored_us = {key: _int_of(value) for key, value in found}
            super().online_write_batch(config, table, _not_older(data, keys, stored_us), progress)  # commits
        finally:
            if connection.in_transaction:
                connection.rollback()

    def delete_rows(self, config: RepoConfig, table: FeatureView, entities: Sequence[EntityKey]) -> None:
        """Removes the entities' rows of this view."""
        keys = [_key_bytes(config, entity) for entity in entities]
        with self._get_conn(config) as connection:
            connection.execute(
                f"DELETE FROM {_quoted(config, table)} WHERE entity_key IN ({_placeholders(keys)})",  # noqa: S608
                keys,
            )


class NewestRedisOnlineStoreConfig(RedisOnlineStoreConfig):  # type: ignore[misc]
    """Feast's configuration of its Redis store, under this store's name."""

    type: Literal["feature_repo.newest_rows.NewestRedisOnlineStore"] = "feature_repo.newest_rows.NewestRedisOnlineStore"


class NewestRedisOnlineStore(RedisOnlineStore):  # type: ignore[misc]
    """Redis: the keys are watched, then read, and the write is refused by Redis where one has changed in between."""

    def online_write_batch(
        self, config: RepoConfig, table: FeatureView, data: list[Row], progress: Callable[[int], Any] | None
    ) -> None:
        """Writes the rows that are not older than the stored ones; Feast calls it."""
        for last in [False] * (TRIES - 1) + [True]:
            try:
                self._write_once(config, table, data)
            except redis.WatchError:
                if last:
                    raise
            else:
                break
        if progress:
            progress(len(data))

    def _write_once(self, config: RepoConfig, table: FeatureView, data: list[Row]) -> None:
        client = self._get_client(config.online_store)
        keys = [_key_bytes(config, row[0]) + config.project.encode() for row in data]
        with client.pipeline(transaction=True) as writes, client.pipeline(transaction=False) as reads:
            writes.watch(*keys)
            for key in keys:
                reads.hget(key, field_hash(f"{table.name}:{AS_OF_US}"))
            stored_us = {key: _int_of(value) for key, value in zip(keys, reads.execute(), strict=True) if value}
            writes.multi()
            for entity, values, at, _ in _not_older(data, keys, stored_us):
                fields: dict[bytes | str, bytes] = {
                    field_hash(f"{table.name}:{name}"): value.SerializeToString() for name, value in values.items()
                }
                written_at = Timestamp()
                written_at.FromDatetime(at)
                fields[f"_ts:{table.name}"] = written_at.SerializeToString()
                writes.hset(_key_bytes(config, entity) + config.project.encode(), mapping=fields)
            writes.execute()

    def delete_rows(self, config: RepoConfig, table: FeatureView, entities: Sequence[EntityKey]) -> None:
        """Removes the entities' rows; each kind of entity has one view, hence a key of its own."""
        keys = [_key_bytes(config, entity) + config.project.encode() for entity in entities]
        self._get_client(config.online_store).delete(*keys)


def _not_older(data: Sequence[Row], keys: Sequence[bytes], stored_us: dict[bytes, int]) -> list[Row]:
    return [
        row
        for row, key in zip(data, keys, strict=True)
        if key not in stored_us or row[1][AS_OF_US].int64_val >= stored_us[key]
    ]


def _key_bytes(config: RepoConfig, entity: EntityKey) -> bytes:
    key: bytes = serialize_entity_key(entity, config.entity_key_serialization_version)
    return key


def _int_of(value: bytes) -> int:
    stored: int = Value.FromString(value).int64_val
    return stored


def _quoted(config: RepoConfig, table: FeatureView) -> str:
    return f'"{sqlite_table(config.project, table)}"'


def _placeholders(keys: Sequence[bytes]) -> str:
    return ", ".join("?" * len(keys))
