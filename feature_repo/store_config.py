"""Feast's configuration from the settings, and its registration without the command line: the online store alone."""

import sqlite3
from dataclasses import dataclass

from contracts.settings import Settings
from feature_repo.engine import FeatureService, FeatureStore, FeatureView, RepoConfig
from feature_repo.entities import ITEM, USER
from feature_repo.feature_services import item_state, user_state
from feature_repo.views import item_view, user_view

PROJECT = "millstream"
REGISTRY = "registry.db"
SQLITE = "online.db"

REDIS_LIMITS = ("socket_connect_timeout=0.5", "socket_timeout=1.0", "retry=null")
"""The client would otherwise try for ten seconds to reach a Redis that is away."""


@dataclass(frozen=True)
class Definitions:
    """Every object that is registered beside the two entities."""

    users: FeatureView
    items: FeatureView
    user_state: FeatureService
    item_state: FeatureService


def definitions() -> Definitions:
    """The feature views and services."""
    users, items = user_view(), item_view()
    return Definitions(users, items, user_state(users), item_state(items))


def repo_config(settings: Settings) -> RepoConfig:
    """Feast's configuration: Redis online where the settings name one, SQLite otherwise.

    A `cache_ttl_seconds` of 0 keeps the registry in memory for the life of the process.
    """
    feast_dir = settings.feast_dir.resolve()
    online = (
        {
            "type": "feature_repo.newest_rows.NewestRedisOnlineStore",
            "connection_string": redis_connection(settings.redis_url),
        }
        if settings.redis_url
        else {"type": "feature_repo.newest_rows.NewestSqliteOnlineStore", "path": str(feast_dir / SQLITE)}
    )
    return RepoConfig(
        project=PROJECT,
        provider="local",
        registry={"registry_type": "file", "path": str(feast_dir / REGISTRY), "cache_ttl_seconds": 0},
        online_store=online,
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
    """Registers all objects and prepares the online store; safe to run again."""
    settings.feast_dir.mkdir(parents=True, exist_ok=True)
    declared = definitions()
    store = FeatureStore(config=repo_config(settings))
    store.apply([USER, ITEM, declared.users, declared.items, declared.user_state, declared.item_state])
    if not settings.redis_url:
        connection = sqlite3.connect(settings.feast_dir / SQLITE)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        finally:
            connection.close()
