"""Where feature rows go: the online store, and an item's row also to the topic `item-features`."""

from collections.abc import Mapping
from datetime import datetime

from contracts.features import ItemFeatures, UserFeatures
from contracts.ids import ItemId, UserId
from contracts.ports import EventLog, FeatureStore
from contracts.rows import ItemFeatureRow
from contracts.topics import ITEM_FEATURES
from contracts.wire import encode
from streams.feature_writer import Sink
from streams.metrics import StreamMetrics


def user_sink(store: FeatureStore) -> Sink[UserFeatures]:
    """The sink of user rows."""

    def write(rows: Mapping[str, tuple[datetime, UserFeatures]]) -> None:
        store.write_users({UserId(user): row for user, row in rows.items()})

    return Sink("user", write)


def item_sink(store: FeatureStore, log: EventLog, metrics: StreamMetrics) -> Sink[ItemFeatures]:
    """The sink of item rows. The topic comes first: serving reads it, and it must not wait for the store."""

    def write(rows: Mapping[str, tuple[datetime, ItemFeatures]]) -> None:
        published = [
            log.publish(
                ITEM_FEATURES, item, encode(ItemFeatureRow(item_id=ItemId(item), at=at, values=row.to_values()))
            )
            for item, (at, row) in rows.items()
        ]
        for future in published:
            future.result()
        metrics.events_out.labels(ITEM_FEATURES.name).inc(len(rows))
        store.write_items({ItemId(item): row for item, row in rows.items()})

    return Sink("item", write)
