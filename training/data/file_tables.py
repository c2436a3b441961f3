"""Files of rows as Arrow tables: CSV, TSV, JSON lines or Parquet, the text formats also compressed with gzip.

Cells of text formats are strings, so that an id 007 stays one; an empty cell is missing. A row that cannot be read is
counted and left out; a file that cannot be read is an error.
"""

import csv
import gzip
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from contracts.errors import BadFile
from training.data.rejected import Rejected

FORMATS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")


def format_of(path: Path) -> str:
    """The format by the file's name, without `.gz`."""
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def opened(path: Path) -> IO[bytes]:
    """The file's bytes, decompressed when its name ends in `.gz`. Raises BadFile when there is none."""
    if not path.is_file():
        raise BadFile(f"found no file {path}; expected one of the formats {', '.join(FORMATS)}; check the path")
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def read_table(path: Path, rejected: Rejected) -> pa.Table:
    """All rows of a file.

    Raises:
        BadFile: no such file, an unknown format, or not readable as its format.
    """
    readers: dict[str, Callable[[IO[bytes], Rejected], pa.Table]] = {
        ".csv": lambda file, counted: _delimited(file, counted, ","),
        ".tsv": lambda file, counted: _delimited(file, counted, "\t"),
        ".jsonl": _json_lines,
        ".ndjson": _json_lines,
        ".parquet": lambda file, counted: pq.read_table(io.BytesIO(file.read())),
    }
    reader = readers.get(format_of(path))
    with opened(path) as file:
        if reader is None:
            raise BadFile(f"found {path}; expected a name that ends in one of {', '.join(FORMATS)}, maybe with .gz")
        try:
            return reader(file, rejected)
        except (pa.ArrowInvalid, OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
            raise BadFile(
                f"found {path} unreadable as {format_of(path)} ({error}); expected UTF-8 text or a whole Parquet "
                "file; write it again"
            ) from error


def column(table: pa.Table, names: Sequence[str]) -> str | None:
    """The first of the names that the table has, whatever its case; None when it has none."""
    found = {name.strip().lower(): name for name in reversed(table.column_names)}
    return next((found[name] for name in names if name in found), None)


def text_cells(table: pa.Table, name: str) -> pa.Array:
    """A column as trimmed strings, null where empty; whole numbers without a decimal point."""
    cells = table[name].combine_chunks()
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    if pa.types.is_floating(cells.type):
        cells = pc.if_else(pc.is_nan(cells), None, cells)
        if pc.all(pc.equal(cells, pc.floor(cells))).as_py() is not False:
            cells = cells.cast(pa.int64(), safe=False)
    if not pa.types.is_string(cells.type):
        cells = cells.cast(pa.string())
    cells = pc.utf8_trim_whitespace(cells)
    return pc.if_else(pc.equal(cells, ""), None, cells)


def number_cells(table: pa.Table, name: str) -> NDArray[np.float64]:
    """A column as float64, NaN where it is missing or no number."""
    cells = table[name].combine_chunks()
    if pa.types.is_integer(cells.type) or pa.types.is_floating(cells.type) or pa.types.is_decimal(cells.type):
        numbers: NDArray[np.float64] = cells.cast(pa.float64()).to_numpy(zero_copy_only=False)
        return numbers
    texts = text_cells(table, name)
    numeric = pc.match_substring_regex(texts, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
    parsed: NDArray[np.float64] = pc.if_else(numeric, texts, None).cast(pa.float64()).to_numpy(zero_copy_only=False)
    return parsed


def _delimited(file: IO[bytes], rejected: Rejected, delimiter: str) -> pa.Table:
    content = file.read()
    first = content.split(b"\n", 1)[0].decode("utf-8-sig")
    header = next(csv.reader([first], delimiter=delimiter), [])
    if not header:
        raise BadFile(f"found {rejected.name} empty; expected a first line with column names")

    def refuse(row: Any) -> str:
        rejected.add(f"not {row.expected_columns} cells in the row", row.number or 1)
        return "skip"

    return arrow_csv.read_csv(
        io.BytesIO(content),
        read_options=arrow_csv.ReadOptions(use_threads=False),
        parse_options=arrow_csv.ParseOptions(
            delimiter=delimiter, newlines_in_values=True, invalid_row_handler=refuse, ignore_empty_lines=True
        ),
        convert_options=arrow_csv.ConvertOptions(
            column_types={name: pa.string() for name in header}, strings_can_be_null=True, null_values=[""]
        ),
    )


def _json_lines(file: IO[bytes], rejected: Rejected) -> pa.Table:
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            rejected.add("no JSON", number)
            continue
        if isinstance(row, dict):
            rows.append(row)
        else:
            rejected.add("no JSON object", number)
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({name: _cells([row.get(name) for row in rows]) for name in names})


def _cells(values: list[Any]) -> pa.Array:
    if all(value is None or isinstance(value, list | dict) for value in values):
        return pa.array([None if value is None else orjson.dumps(value).decode() for value in values], pa.string())
    return pa.array([None if value is None else str(value) for value in values], pa.string())
