"""The interactions file: columns to `Interactions`, each cell checked, whole columns at once.

Columns: `user` (or user_id), `item` (item_id), and optionally `time` (at, timestamp), `kind` (event), `rating` (stars)
and `quantity`, below zero in a row that takes a purchase back, which is no interaction. A time is ISO 8601 (UTC where
it names no zone, days as 2026-03-01 or 20260301) or seconds or milliseconds since 1970. L rows.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from contracts.errors import BadFile
from contracts.events import EventKind
from training.data.file_tables import column, number_cells, read_table, text_cells
from training.data.interactions import STEP_MS, Interactions
from training.data.rejected import Rejected
from training.data.sequences import Integers
from training.model.vocabulary import KINDS, kind_row

USER = ("user", "user_id", "session", "session_id")
ITEM = ("item", "item_id")
TIME = ("time", "at", "timestamp", "time_ms")
KIND = ("kind", "event")
RATING = ("rating", "stars")
QUANTITY = ("quantity",)

SECONDS_BELOW = 1e11
"""A number below is seconds since 1970 (until the year 5138), one from here on milliseconds (from 1973)."""

LONGEST_ID = 128
LATEST_MS = 4_102_444_800_000  # 2100-01-01


def read_interactions(path: Path, rejected: Rejected) -> Interactions:
    """Reads the file; rows with a cell that is wrong are counted in `rejected` and left out.

    A row without a kind is a view, or a rating where it has one.

    Raises:
        BadFile: the file cannot be read or has no column of users or of items.
    """
    table = read_table(path, rejected)
    names = {"user": column(table, USER), "item": column(table, ITEM)}
    missing = [name for name, found in names.items() if found is None]
    if missing:
        raise BadFile(
            f"found the columns {', '.join(table.column_names)} in {path} and none for {' and '.join(missing)}; "
            "expected user, item, and maybe time, kind, rating"
        )
    users, items = text_cells(table, str(names["user"])), text_cells(table, str(names["item"]))
    kept = np.ones(len(table), dtype=np.bool_)
    for what, cells in (("user", users), ("item", items)):
        kept = rejected.leave_out(f"no {what}", _true(pc.is_null(cells)), kept)
        kept = rejected.leave_out(
            f"{what} id over {LONGEST_ID} characters", _true(pc.greater(pc.utf8_length(cells), LONGEST_ID)), kept
        )
    time_name = column(table, TIME)
    times_ms, kept = _times(table, time_name, rejected, kept)
    ratings, kept = _ratings(table, rejected, kept)
    kinds, kept = _kinds(table, ratings, rejected, kept)
    kept = rejected.leave_out("a quantity below zero takes a purchase back", _taken_back(table), kept)
    mask = pa.array(kept)
    user_codes, user_ids = _codes(users.filter(mask))
    item_codes, item_ids = _codes(items.filter(mask))
    return Interactions(
        user_ids, item_ids, user_codes, item_codes, times_ms[kept], kinds[kept], ratings[kept], time_name is not None
    )


def _times(
    table: pa.Table, name: str | None, rejected: Rejected, kept: NDArray[np.bool_]
) -> tuple[Integers, NDArray[np.bool_]]:
    if name is None:
        return np.arange(len(table), dtype=np.int64) * STEP_MS, kept
    cells = table[name].combine_chunks()
    times: NDArray[np.float64]
    if pa.types.is_timestamp(cells.type) or pa.types.is_date(cells.type):
        in_ms = cells.cast(pa.timestamp("ms", tz=getattr(cells.type, "tz", None)), safe=False).cast(pa.int64())
        times = in_ms.cast(pa.float64()).to_numpy(zero_copy_only=False)
    else:
        texts = text_cells(table, name)
        times = _day_ms(texts)
        if np.isnan(times).all():
            times = number_cells(table, name)
            times = np.where(np.abs(times) < SECONDS_BELOW, times * 1000.0, times)
        if np.isnan(times).any():
            times = np.where(np.isnan(times), _iso_ms(texts), times)
    wrong = ~((times >= 0) & (times < LATEST_MS))  # NaN is wrong too
    kept = rejected.leave_out("time missing, unreadable, or not from 1970 to 2100", wrong, kept)
    return np.where(wrong, 0, times).astype(np.int64), kept


def _day_ms(cells: pa.Array) -> NDArray[np.float64]:
    """Times of a column that holds days as 20260301; NaN everywhere if a cell is anything else, but for empty ones."""
    texts = pd.Series(cells.drop_null().to_numpy(zero_copy_only=False), dtype=object)
    days = pd.to_datetime(texts, format="%Y%m%d", utc=True, errors="coerce")
    if not len(texts) or not texts.str.fullmatch(r"\d{8}").all() or days.isna().any():
        return np.full(len(cells), np.nan)
    return _iso_ms(cells)


def _iso_ms(cells: pa.Array) -> NDArray[np.float64]:
    texts = pd.Series(cells.to_numpy(zero_copy_only=False))
    parsed = pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")
    in_ms = (parsed - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(milliseconds=1)
    return np.asarray(in_ms, dtype=np.float64)


def _ratings(
    table: pa.Table, rejected: Rejected, kept: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    name = column(table, RATING)
    if name is None:
        return np.full(len(table), np.nan), kept
    ratings = number_cells(table, name)
    given = ~_true(pc.is_null(text_cells(table, name)))
    return ratings, rejected.leave_out("rating that is no number", given & ~np.isfinite(ratings), kept)


def _taken_back(table: pa.Table) -> NDArray[np.bool_]:
    name = column(table, QUANTITY)
    if name is None:
        return np.zeros(len(table), dtype=np.bool_)
    taken: NDArray[np.bool_] = number_cells(table, name) < 0  # missing, NaN, is not below
    return taken


def _kinds(
    table: pa.Table, ratings: NDArray[np.float64], rejected: Rejected, kept: NDArray[np.bool_]
) -> tuple[Integers, NDArray[np.bool_]]:
    usual = np.where(np.isnan(ratings), kind_row(EventKind.VIEW), kind_row(EventKind.RATING)).astype(np.int64)
    name = column(table, KIND)
    if name is None:
        return usual, kept
    encoded = pc.utf8_lower(text_cells(table, name)).dictionary_encode()
    rows = np.array([kind_row(kind) for kind in encoded.dictionary.to_pylist()] or [0], dtype=np.int64)
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    kinds = np.where(codes < 0, usual, rows[codes])
    expected = ", ".join(KINDS)
    return kinds, rejected.leave_out(f"kind that is none of {expected}", kinds >= len(KINDS), kept)


def _codes(cells: pa.Array) -> tuple[Integers, list[str]]:
    """Codes by sorted id, and the ids."""
    encoded = cells.dictionary_encode()
    ids = encoded.dictionary.to_pylist()
    order = sorted(range(len(ids)), key=ids.__getitem__)
    places = np.empty(len(ids), dtype=np.int64)
    places[order] = np.arange(len(ids))
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return places[codes] if len(ids) else codes, [ids[place] for place in order]


def _true(flags: pa.Array) -> NDArray[np.bool_]:
    truth: NDArray[np.bool_] = flags.fill_null(False).to_numpy(zero_copy_only=False)
    return truth
