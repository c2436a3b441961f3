"""The archived events and catalogue as what `refold` folds: users one by one, each in the log's order.

Rows are sorted as Arrow columns and become objects a few at a time, so that a big archive needs little memory.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from heapq import merge
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contracts.clock import from_ms
from contracts.events import (
    AddToCart,
    Click,
    EventKind,
    ImpressedItem,
    Impression,
    Interaction,
    Purchase,
    Rating,
    Search,
    View,
)
from contracts.ids import EventId, ItemId, RequestId, UserId
from contracts.settings import Settings
from feature_repo.archive import ArchiveReader
from feature_repo.archive_schemas import PLACE
from streams.state.rules import Rules
from streams.state.user_features import Attributes
from training.data.feature_join import FeatureJoin, FeatureRows, Wanted
from training.data.refold import CatalogueThen, LoggedEvent, Refold

ROWS_AT_ONCE = 10_000

_COLUMNS = (
    "event_id", "kind", "at", "user_id", "item_id", "quantity", "stars", "items", "log_partition", "log_offset",
)  # fmt: skip
_OF_ONE_ITEM: dict[str, type[View | Click | AddToCart | Purchase | Rating]] = {
    EventKind.VIEW: View,
    EventKind.CLICK: Click,
    EventKind.ADD_TO_CART: AddToCart,
    EventKind.PURCHASE: Purchase,
    EventKind.RATING: Rating,
}


def archive_join(settings: Settings) -> FeatureJoin:
    """The point-in-time join over the archive, with the rules that the streams fold by."""
    return partial(refolded, settings)


def refolded(settings: Settings, wanted: Wanted) -> FeatureRows:
    """The rows wanted, from one pass over the archived events before the latest time.

    Raises:
        UnknownFormat: a newer Millstream wrote a file of the archive.
    """
    archive = ArchiveReader(settings.archive_dir)
    refold = Refold(wanted, catalogue_then(archive), Rules.of(settings))
    for user_id, events in events_by_user(archive, wanted.until_ms):
        refold.add(user_id, events)
    return refold.rows()


def catalogue_then(archive: ArchiveReader) -> CatalogueThen:
    """Category and brand of every archived version of every item; a deletion leaves them as they are."""
    rows = archive.read("items", ["item_id", "at", "deleted", "category", "brand"]).to_pylist()
    return CatalogueThen(
        (ItemId(row["item_id"]), row["at"], Attributes(row["category"] or "", row["brand"] or ""))
        for row in rows
        if not row["deleted"]
    )


def events_by_user(archive: ArchiveReader, until_ms: int) -> Iterator[tuple[UserId, list[LoggedEvent]]]:
    """The archived events before a time (ms since the epoch), in the log's order within each user.

    A user's events stand in one partition. Where they stand in several, since partitions were added, or have no place,
    since they were archived before places were, event time says which comes first.
    """
    table = archive.read("events", _COLUMNS, until=from_ms(until_ms))
    shown, places = {"items": _shown(table["items"])}, {name: pc.fill_null(table[name], -1) for name in PLACE}
    for name, column in (shown | places).items():
        table = table.set_column(table.schema.get_field_index(name), name, column)
    by_time = _order(table, "at", *PLACE, "event_id").to_numpy()
    ranks = np.empty(len(by_time), dtype=np.int64)
    ranks[by_time] = np.arange(len(by_time))
    ranked = table.append_column("rank", pa.array(ranks))
    by_user = _order(ranked, "user_id", *PLACE, "rank")
    for user_id, rows in groupby(_rows(ranked, by_user), key=lambda row: row["user_id"]):
        of_partitions = [list(of_one) for _, of_one in groupby(rows, key=lambda row: row["log_partition"])]
        yield UserId(user_id), [LoggedEvent(row["rank"], _event(row)) for row in _merged(of_partitions)]


def _order(table: pa.Table, *columns: str) -> pa.Array:
    return pc.sort_indices(table, sort_keys=[(name, "ascending") for name in columns])


def _merged(of_partitions: Sequence[list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Keeps the order within each partition."""
    return iter(of_partitions[0]) if len(of_partitions) == 1 else merge(*of_partitions, key=lambda row: row["rank"])


def _rows(table: pa.Table, order: pa.Array) -> Iterator[dict[str, Any]]:
    for start in range(0, len(order), ROWS_AT_ONCE):
        yield from table.take(order[start : start + ROWS_AT_ONCE]).to_pylist()


def _shown(items: pa.ChunkedArray) -> pa.Array:
    """The ids alone of the items of impressions."""
    lists = items.combine_chunks()
    ids = pc.struct_field(lists.values, "item_id")
    return pa.ListArray.from_arrays(lists.offsets, ids, mask=lists.is_null())


@lru_cache(maxsize=100_000)
def _impressed(item_id: str) -> ImpressedItem:
    """A shown item; no feature reads where it stood."""
    return ImpressedItem.model_construct(item_id=ItemId(item_id), position=0, score=0.0)


def _event(row: dict[str, Any]) -> Impression | Interaction:
    """The event with the fields that features read; what was archived has been validated before."""
    known = {"event_id": EventId(row["event_id"]), "at": row["at"], "user_id": UserId(row["user_id"])}
    if row["kind"] == EventKind.IMPRESSION:
        shown = tuple(map(_impressed, row["items"] or ()))
        return Impression.model_construct(
            **known, request_id=RequestId(""), surface="recommendations", model_version=None, items=shown
        )
    if row["kind"] == EventKind.SEARCH:
        return Search.model_construct(**known)
    own = {name: row[name] for name in ("quantity", "stars") if row[name] is not None}
    return _OF_ONE_ITEM[row["kind"]].model_construct(**known, item_id=ItemId(row["item_id"]), **own)
