"""Feast's configuration from the settings, and its registration without the command line.

`apply` also makes the offline sources readable before the first row: an empty Parquet file with the schema.
"""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from contracts.settings import Settings
from feature_repo.archive import ArchiveWriter
from feature_repo.engine import FeatureService, FeatureStore, FeatureView, RepoConfig
from feature_repo.entities import ITEM, USER
from feature_repo.feature_services import item_state, ranking, user_state
from feature_repo.views import ITEM_VIEW, USER_VIEW, item_view, user_view

PROJECT = "millstream"

REDIS_LIMITS = ("socket_connect_timeout=0.5", "socket_timeout=1.0", "retry=null")
"""The client would otherwise try for ten seconds to reach a Redis that is away."""


@dataclass(frozen=True)
class Definitions:
    """Every object that is registered beside the two entities."""

    users: FeatureView
    items: FeatureView
    user_state: FeatureService
    item_state: FeatureService
    ranking: FeatureService


def definitions(archive_dir: Path) -> Definitions:
    """The feature views and services over an archive."""
    users, items = user_view(archive_dir), item_view(archive_dir)
    return Definitions(users, items, user_state(users), item_state(items), ranking(users, items))


def repo_config(settings: Settings) -> RepoConfig:
    """Feast's configuration: Redis online where the settings name one, SQLite otherwise; DuckDB offline.

    A `cache_ttl_seconds` of 0 keeps the registry in memory for the life of the process.
    """
    feast_dir = settings.feast_dir.resolve()
    online = (
        {
            "type": "redis",
            "connection_string": redis_connection(settings.redis_url),
            # `FeastStore` compares times itself, the same way for both stores; Feast's own check drops equal times.
            "skip_dedup": True,
        }
        if settings.redis_url
        else {"type": "sqlite", "path": str(feast_dir / "online.db")}
    )
    return RepoConfig(
        project=PROJECT,
        provider="local",
        registry={"registry_type": "file", "path": str(feast_dir / "registry.db"), "cache_ttl_seconds": 0},
        online_store=online,
        offline_store={"type": "duckdb"},
        entity_key_serialization_version=3,
        repo_path=feast_dir,
    )


def redis_connection(url: str) -> str:
    """Feast's form (`host:port,db=0,password=...`) of a `redis://` URL; a string in that form stays."""
    if "://" not in url:
        return url
    scheme, _, rest = url.partition("://")
    credentials, _, address = rest.rpartition("@")
    address, _, database = address.partition("/")
    parts = [address if ":" in address else f"{address}:6379", *REDIS_LIMITS]
    if database:
        parts.append(f"db={database}")
    if credentials:
        username, _, password = credentials.partition(":")
        parts += [f"{name}={value}" for name, value in (("username", username), ("password", password)) if value]
    if scheme == "rediss":
        parts.append("ssl=true")
    return ",".join(parts)


def apply(settings: Settings) -> None:
    """Registers all objects and prepares both stores; safe to run again."""
    settings.feast_dir.mkdir(parents=True, exist_ok=True)
    for dataset in (USER_VIEW, ITEM_VIEW):
        ArchiveWriter(settings.archive_dir, dataset).ensure_readable()
    declared = definitions(settings.archive_dir)
    store = FeatureStore(config=repo_config(settings))
    store.apply(
        [USER, ITEM, declared.users, declared.items, declared.user_state, declared.item_state, declared.ranking]
    )
    if not settings.redis_url:
        connection = sqlite3.connect(settings.feast_dir / "online.db")
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        finally:
            connection.close()
