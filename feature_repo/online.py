"""The online features through Feast: the port `FeatureStore` on SQLite or Redis.

Feast's SQLite store cannot be shared by threads, so each thread has a store of its own. That an older row never
overwrites a newer one, whichever process wrote that, is `newest_rows.py`'s. A mark is a row of a user whose id no
shopper has, so that it is lost together with the rows.
"""

import logging
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pandas as pd
import redis.exceptions

from contracts.addresses import shown_address, without_secrets
from contracts.errors import FeaturesUnavailable, InvalidMessage
from contracts.features import ItemFeatures, UserFeatures
from contracts.ids import ItemId, UserId
from contracts.settings import Settings
from feature_repo.engine import EntityKey, FeatureService, FeatureStore, Value
from feature_repo.entities import ITEM, USER
from feature_repo.feature_services import ITEM_STATE, USER_STATE
from feature_repo.sources import CREATED, EVENT_TIMESTAMP
from feature_repo.store_config import REGISTRY, SQLITE, apply, repo_config
from feature_repo.views import AS_OF_US, ITEM_VIEW, USER_VIEW

log = logging.getLogger(__name__)

Row = TypeVar("Row", UserFeatures, ItemFeatures)

WRITE_BATCH = 200
"""Rows a statement: SQLite takes at most 999 parameters in old builds, and readers wait for no longer write."""

RETRY_AFTER_S = 0.5
"""For this long after a Redis did not answer, calls fail at once."""

MARK = "\x00mark:"
"""Beginning of the reserved user ids whose rows are marks."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class FeastStore:
    """Implements `contracts.ports.FeatureStore`; safe to share between threads.

    A registry or a SQLite file that is not there, or no more, is made anew, without rows and without marks.

    Args:
        settings: Where the registry and the online store are.
    """

    def __init__(self, settings: Settings):
        self._settings = settings
        self._of_thread = threading.local()
        self._registering = threading.Lock()
        self._down_until = 0.0

    def read_user(self, user_id: UserId) -> UserFeatures | None:
        """The user's row; None for a user never written. Raises FeaturesUnavailable."""
        values = self._read(USER_STATE, USER.join_key, user_id)
        return None if values is None else _row(UserFeatures, user_id, values)

    def read_item(self, item_id: ItemId) -> ItemFeatures | None:
        """The item's row; None for an item never written. Raises FeaturesUnavailable."""
        values = self._read(ITEM_STATE, ITEM.join_key, item_id)
        return None if values is None else _row(ItemFeatures, item_id, values)

    def write_users(self, rows: Mapping[UserId, tuple[datetime, UserFeatures]]) -> None:
        """Upserts rows with their event times; a row older than the stored one is dropped, an equal one is not.

        Raises FeaturesUnavailable.
        """
        self._write(USER_VIEW, USER.join_key, [(key, at, row.to_values()) for key, (at, row) in rows.items()])

    def write_items(self, rows: Mapping[ItemId, tuple[datetime, ItemFeatures]]) -> None:
        """Upserts rows with their event times. As `write_users`."""
        self._write(ITEM_VIEW, ITEM.join_key, [(key, at, row.to_values()) for key, (at, row) in rows.items()])

    def delete_users(self, user_ids: Collection[UserId]) -> None:
        """Removes rows of users; one that is not there is no error. Raises FeaturesUnavailable."""
        self._delete(USER_VIEW, USER.join_key, list(user_ids))

    def delete_items(self, item_ids: Collection[ItemId]) -> None:
        """Removes rows of items; one that is not there is no error. Raises FeaturesUnavailable."""
        self._delete(ITEM_VIEW, ITEM.join_key, list(item_ids))

    def read_marks(self, names: Sequence[str]) -> frozenset[str]:
        """Those of the named marks that are there. Raises FeaturesUnavailable."""
        if not names:
            return frozenset()
        with self._available():
            answer = self._store().get_online_features(
                features=[f"{USER_VIEW}:{AS_OF_US}"], entity_rows=[{USER.join_key: MARK + name} for name in names]
            )
            times_us = answer.to_dict()[AS_OF_US]
        return frozenset(name for name, time_us in zip(names, times_us, strict=True) if time_us is not None)

    def write_mark(self, name: str) -> None:
        """Leaves a mark beside the rows. Raises FeaturesUnavailable."""
        self._write(USER_VIEW, USER.join_key, [(MARK + name, EPOCH, UserFeatures().to_values())])

    def _read(self, service: str, join_key: str, entity: str) -> dict[str, Any] | None:
        with self._available():
            answer = self._store().get_online_features(
                features=self._service(service), entity_rows=[{join_key: entity}]
            )
            values = {name: column[0] for name, column in answer.to_dict().items()}
        return None if values[AS_OF_US] is None else values

    def _write(self, view: str, join_key: str, rows: Sequence[tuple[str, datetime, dict[str, Any]]]) -> None:
        for start in range(0, len(rows), WRITE_BATCH):
            batch = [
                {join_key: entity, EVENT_TIMESTAMP: at, CREATED: at, AS_OF_US: to_us(at), **values}
                for entity, at, values in rows[start : start + WRITE_BATCH]
            ]
            with self._available():
                self._store().write_to_online_store(view, df=pd.DataFrame(batch))

    def _delete(self, view: str, join_key: str, entities: Sequence[str]) -> None:
        for start in range(0, len(entities), WRITE_BATCH):
            keys = [
                EntityKey(join_keys=[join_key], entity_values=[Value(string_val=entity)])
                for entity in entities[start : start + WRITE_BATCH]
            ]
            with self._available():
                store = self._store()
                store._get_provider().online_store.delete_rows(store.config, store.get_feature_view(view), keys)

    def _store(self) -> FeatureStore:
        store, file = getattr(self._of_thread, "store", None), self._file()
        if store is None or file is None or file != self._of_thread.file:
            with self._registering:
                if self._file() is None or not (self._settings.feast_dir / REGISTRY).exists():
                    log.warning("found no feature views at %s; registering them", self._settings.feast_dir)
                    apply(self._settings)
            store = self._of_thread.store = FeatureStore(config=repo_config(self._settings))
            self._of_thread.services, self._of_thread.file = {}, self._file()
        return store

    def _where(self) -> str:
        return shown_address(self._settings.redis_url) or str(self._settings.feast_dir)

    def _file(self) -> tuple[int, int] | None:
        """Which file SQLite's is; None where it is gone. A connection would go on with a deleted file for ever."""
        if self._settings.redis_url:
            return 0, 0
        try:
            found = (self._settings.feast_dir / SQLITE).stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _service(self, name: str) -> FeatureService:
        store = self._store()
        services: dict[str, FeatureService] = self._of_thread.services
        if name not in services:
            services[name] = store.get_feature_service(name)
        return services[name]

    @contextmanager
    def _available(self) -> Iterator[None]:
        if time.monotonic() < self._down_until:
            raise FeaturesUnavailable(f"found {self._where()} away a moment ago; expected an answer; retry")
        try:
            yield
        except Exception as error:
            # Feast lets through whatever its registry, SQLite, Redis and pandas raise. The client of Redis reconnects
            # by itself; for all else the next call makes a new store, hence a new connection.
            if isinstance(error, redis.exceptions.ConnectionError | redis.exceptions.TimeoutError):
                self._down_until = time.monotonic() + RETRY_AFTER_S
            else:
                self._of_thread.store = None
            told = without_secrets(error, self._settings.redis_url)
            raise FeaturesUnavailable(
                f"found {type(error).__name__} ({told}) from the online store at {self._where()}; expected an answer; "
                "check that it runs and that the feature views were applied"
            ) from error


def _row(of: type[Row], entity: str, values: dict[str, Any]) -> Row:
    try:
        return of.from_values(values)
    except InvalidMessage as error:  # written by another code, or by hand
        raise FeaturesUnavailable(
            f"found a row of {entity!r} that cannot be used ({error}); expected one that the streams wrote; its next "
            "event writes it again"
        ) from error


def to_us(at: datetime) -> int:
    """Microseconds since the epoch, exactly (a float of seconds would round)."""
    return (at - EPOCH) // timedelta(microseconds=1)
