"""The online features through Feast: the port `FeatureStore` on SQLite or Redis.

Feast's SQLite store cannot be shared by threads, so each thread has a store of its own. An older row is dropped here,
by the microseconds in `AS_OF_US`: SQLite would let the last write win, Redis would drop equal times too.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import redis.exceptions

from contracts.errors import FeaturesUnavailable
from contracts.features import ItemFeatures, UserFeatures
from contracts.ids import ItemId, UserId
from contracts.settings import Settings
from feature_repo.engine import FeatureService, FeatureStore
from feature_repo.entities import ITEM, USER
from feature_repo.feature_services import ITEM_STATE, USER_STATE
from feature_repo.sources import CREATED, EVENT_TIMESTAMP
from feature_repo.store_config import repo_config
from feature_repo.views import AS_OF_US, ITEM_VIEW, USER_VIEW

WRITE_BATCH = 200
"""Rows a statement: SQLite takes at most 999 parameters in old builds, and readers wait for no longer write."""

RETRY_AFTER_S = 0.5
"""For this long after a Redis did not answer, calls fail at once."""

REMEMBERED_TIMES = 200_000
"""Entities whose newest written time is remembered, so that a steady writer need not read before it writes."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class FeastStore:
    """Implements `contracts.ports.FeatureStore`; safe to share between threads.

    Call `feature_repo.store_config.apply` once before. Writers of one entity must be one process at a time (a partition
    of the log has one owner), because the comparison of times and the write are two steps.

    Args:
        settings: Where the registry and the online store are.
    """

    def __init__(self, settings: Settings):
        self._settings = settings
        self._of_thread = threading.local()
        self._lock = threading.Lock()
        self._written_us: dict[tuple[str, str], int] = {}
        self._down_until = 0.0

    def read_user(self, user_id: UserId) -> UserFeatures | None:
        """The user's row; None for a user never written. Raises FeaturesUnavailable."""
        values = self._read(USER_STATE, USER.join_key, user_id)
        return None if values is None else UserFeatures.from_values(values)

    def read_item(self, item_id: ItemId) -> ItemFeatures | None:
        """The item's row; None for an item never written. Raises FeaturesUnavailable."""
        values = self._read(ITEM_STATE, ITEM.join_key, item_id)
        return None if values is None else ItemFeatures.from_values(values)

    def write_users(self, rows: Mapping[UserId, tuple[datetime, UserFeatures]]) -> None:
        """Upserts rows with their event times; a row older than the stored one is dropped, an equal one is not.

        Raises FeaturesUnavailable.
        """
        self._write(USER_VIEW, USER.join_key, [(key, at, row.to_values()) for key, (at, row) in rows.items()])

    def write_items(self, rows: Mapping[ItemId, tuple[datetime, ItemFeatures]]) -> None:
        """Upserts rows with their event times. As `write_users`."""
        self._write(ITEM_VIEW, ITEM.join_key, [(key, at, row.to_values()) for key, (at, row) in rows.items()])

    def _read(self, service: str, join_key: str, entity: str) -> dict[str, Any] | None:
        with self._available():
            answer = self._store().get_online_features(
                features=self._service(service), entity_rows=[{join_key: entity}]
            )
            values = {name: column[0] for name, column in answer.to_dict().items()}
        return None if values[AS_OF_US] is None else values

    def _write(self, view: str, join_key: str, rows: Sequence[tuple[str, datetime, dict[str, Any]]]) -> None:
        for start in range(0, len(rows), WRITE_BATCH):
            batch = rows[start : start + WRITE_BATCH]
            with self._available():
                before_us = self._times_us(view, join_key, [entity for entity, _, _ in batch])
                fresh = [
                    {join_key: entity, EVENT_TIMESTAMP: at, CREATED: at, AS_OF_US: as_of_us, **values}
                    for entity, at, values in batch
                    if (as_of_us := to_us(at)) >= before_us[entity]
                ]
                if fresh:
                    self._store().write_to_online_store(view, df=pd.DataFrame(fresh))
                    self._remember(view, {row[join_key]: row[AS_OF_US] for row in fresh})

    def _times_us(self, view: str, join_key: str, entities: Sequence[str]) -> dict[str, int]:
        """Event times of the stored rows, in microseconds; 0 for an entity without a row."""
        with self._lock:
            times_us = {entity: self._written_us.get((view, entity)) for entity in entities}
        unknown = [entity for entity, time_us in times_us.items() if time_us is None]
        stored: dict[str, int] = {}
        if unknown:
            answer = self._store().get_online_features(
                features=[f"{view}:{AS_OF_US}"], entity_rows=[{join_key: entity} for entity in unknown]
            )
            stored = {entity: time_us or 0 for entity, time_us in zip(unknown, answer.to_dict()[AS_OF_US], strict=True)}
        return {entity: stored[entity] if time_us is None else time_us for entity, time_us in times_us.items()}

    def _remember(self, view: str, times_us: Mapping[str, int]) -> None:
        with self._lock:
            if len(self._written_us) + len(times_us) > REMEMBERED_TIMES:
                self._written_us.clear()
            self._written_us.update({(view, entity): time_us for entity, time_us in times_us.items()})

    def _store(self) -> FeatureStore:
        store = getattr(self._of_thread, "store", None)
        if store is None:
            store = self._of_thread.store = FeatureStore(config=repo_config(self._settings))
            self._of_thread.services = {}
        return store

    def _service(self, name: str) -> FeatureService:
        store = self._store()
        services: dict[str, FeatureService] = self._of_thread.services
        if name not in services:
            services[name] = store.get_feature_service(name)
        return services[name]

    @contextmanager
    def _available(self) -> Iterator[None]:
        if time.monotonic() < self._down_until:
            raise FeaturesUnavailable(f"found {self._settings.redis_url} away a moment ago; expected an answer; retry")
        try:
            yield
        except Exception as error:
            # Feast lets through whatever its registry, SQLite, Redis and pandas raise. The client of Redis reconnects
            # by itself; for all else the next call makes a new store, hence a new connection.
            if isinstance(error, redis.exceptions.ConnectionError | redis.exceptions.TimeoutError):
                self._down_until = time.monotonic() + RETRY_AFTER_S
            else:
                self._of_thread.store = None
            with self._lock:
                self._written_us.clear()
            where = self._settings.redis_url or self._settings.feast_dir
            raise FeaturesUnavailable(
                f"found {type(error).__name__} ({error}) from the online store at {where}; expected an answer; check "
                "that it runs and that the feature views were applied"
            ) from error


def to_us(at: datetime) -> int:
    """Microseconds since the epoch, exactly (a float of seconds would round)."""
    return (at - EPOCH) // timedelta(microseconds=1)
