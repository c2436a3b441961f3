"""Rows of a file, whatever its format: JSON lines, CSV with a header, or Parquet.

A row that cannot be read as a row is told with its line and the rest goes on; a file that cannot be read stops.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from contracts.errors import BadFile

FORMATS = (".jsonl", ".ndjson", ".csv", ".parquet")


@dataclass(frozen=True)
class Row:
    """One row. `line` counts from 1 (in CSV after the header); `problem` is set where it is no row."""

    line: int
    fields: dict[str, Any]
    problem: str = ""


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a file; empty cells are left out of a row's fields.

    Raises:
        BadFile: the file is not there, of no known format, or unreadable as its format.
    """
    if not path.is_file():
        raise BadFile(f"found no file {path}; expected a file of one of: {', '.join(FORMATS)}")
    suffix = path.suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        return _json_rows(path)
    if suffix == ".csv":
        return _csv_rows(path)
    if suffix == ".parquet":
        return _parquet_rows(path)
    raise BadFile(f"found the file {path}; expected a name that ends in one of: {', '.join(FORMATS)}")


def count_rows(path: Path) -> int:
    """How many rows a readable file has, for progress: exact for Parquet, lines for the others."""
    if path.suffix.lower() == ".parquet":
        return int(pq.read_metadata(path).num_rows)
    with path.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))


def _json_rows(path: Path) -> Iterator[Row]:
    with path.open("rb") as file:
        for line, raw in enumerate(file, start=1):
            if not raw.strip():
                continue
            try:
                fields = orjson.loads(raw)
            except orjson.JSONDecodeError as error:
                yield Row(line, {"raw": raw.decode(errors="replace")[:500].strip()}, f"no JSON ({error})")
                continue
            if isinstance(fields, dict):
                yield Row(line, {name: value for name, value in fields.items() if value is not None})
            else:
                yield Row(line, {"raw": fields}, f"found {type(fields).__name__}, expected a JSON object")


def _csv_rows(path: Path) -> Iterator[Row]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if not reader.fieldnames:
                raise BadFile(f"found {path} empty; expected a header line with column names")
            for cells in reader:
                extra = cells.pop(None, None)
                fields = {name: value for name, value in cells.items() if value not in (None, "")}
                problem = f"{len(extra)} cells more than the header has columns" if extra else ""
                yield Row(reader.line_num, fields, problem)
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadFile(f"found {path} unreadable as UTF-8 CSV ({error}); save it as UTF-8, comma-separated") from error


def _parquet_rows(path: Path) -> Iterator[Row]:
    try:
        line = 0
        for batch in pq.ParquetFile(path).iter_batches(batch_size=10_000):
            for fields in batch.to_pylist():
                line += 1
                yield Row(line, {name: value for name, value in fields.items() if value is not None})
    except (pa.ArrowInvalid, OSError) as error:
        raise BadFile(f"found {path} unreadable as Parquet ({error}); write the file again") from error
