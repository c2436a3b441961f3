"""Files of a shop: good rows become items and events, bad ones are counted, shown with their line, and kept."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from contracts.catalogue import Item
from contracts.errors import BadFile
from contracts.events import Click, Purchase
from contracts.settings import Settings
from millstream.sources.catalogue import read_catalogue
from millstream.sources.event_files import read_events
from millstream.sources.rejects import SHOWN, Rejects
from millstream.sources.rows import count_rows, read_rows

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def rejects(tmp_path: Path) -> Rejects:
    return Rejects(tmp_path / "rejects" / "rows.jsonl")


def _events(path: Path, rejects: Rejects) -> list[object]:
    return list(read_events(path, rejects, clock=lambda: NOW))


def _items(path: Path, settings: Settings, rejects: Rejects) -> list[Item]:
    return list(read_catalogue(path, settings, rejects))


def _png() -> bytes:
    sheet = io.BytesIO()
    Image.new("RGB", (4, 4), (200, 30, 30)).save(sheet, format="PNG")
    return sheet.getvalue()


def test_the_same_catalogue_reads_alike_from_jsonl_csv_and_parquet(
    tmp_path: Path, local_settings: Settings, rejects: Rejects
) -> None:
    (tmp_path / "a.jsonl").write_text('{"item_id": 7, "title": "Mug", "price": "7.90", "colour": "blue"}\n')
    (tmp_path / "b.csv").write_text("item_id,title,price,colour,brand\n7,Mug,7.90,blue,\n")
    pq.write_table(
        pa.table({"item_id": [7], "title": ["Mug"], "price": [7.90], "colour": ["blue"]}), tmp_path / "c.parquet"
    )
    read = [_items(tmp_path / name, local_settings, rejects) for name in ("a.jsonl", "b.csv", "c.parquet")]
    assert read[0] == read[1] == read[2]
    assert read[0][0].item_id == "7"
    assert read[0][0].price_cents == 790
    assert read[0][0].attributes == {"colour": "blue"}
    assert rejects.count == 0


def test_a_bad_row_is_kept_with_its_line_and_the_rest_goes_on(
    tmp_path: Path, local_settings: Settings, rejects: Rejects
) -> None:
    (tmp_path / "shop.jsonl").write_text(
        '{"item_id": "a", "title": "A"}\n{"item_id": "b"}\nnot json\n[1]\n{"item_id": "e", "title": "E"}\n'
    )
    items = _items(tmp_path / "shop.jsonl", local_settings, rejects)
    assert [item.item_id for item in items] == ["a", "e"]
    kept = [json.loads(line) for line in (tmp_path / "rejects" / "rows.jsonl").read_text().splitlines()]
    assert [row["line"] for row in kept] == [2, 3, 4]
    assert "title" in kept[0]["problem"]


def test_only_the_first_rejects_are_shown_and_all_are_counted(tmp_path: Path, rejects: Rejects) -> None:
    for line in range(1, 12):
        rejects.refuse(line, "wrong", {"line": line})
    said: list[str] = []
    rejects.report(said.append)
    assert said[0].startswith("11 rows refused")
    assert len(said) == 1 + SHOWN


def test_a_picture_beside_the_file_is_stored_and_a_broken_one_costs_only_the_picture(
    tmp_path: Path, local_settings: Settings, rejects: Rejects
) -> None:
    (tmp_path / "good.png").write_bytes(_png())
    (tmp_path / "bad.png").write_bytes(b"no picture")
    (tmp_path / "shop.csv").write_text("item_id,title,picture\na,A,good.png\nb,B,bad.png\nc,C,nowhere.png\n")
    items = _items(tmp_path / "shop.csv", local_settings, rejects)
    assert [item.picture is None for item in items] == [False, True, True]
    assert rejects.count == 1


def test_events_of_several_kinds_share_a_table_and_leave_out_cells_of_other_kinds(
    tmp_path: Path, rejects: Rejects
) -> None:
    (tmp_path / "log.csv").write_text(
        "kind,at,user_id,item_id,quantity,stars\n"
        "click,2026-01-01T10:00:00+01:00,u1,i1,3,\n"
        "purchase,2026-01-01T10:01:00+01:00,u1,i1,2,\n"
    )
    click, purchase = _events(tmp_path / "log.csv", rejects)
    assert isinstance(click, Click)
    assert click.at == datetime(2026, 1, 1, 9, tzinfo=UTC)
    assert isinstance(purchase, Purchase)
    assert purchase.quantity == 2


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"kind": "click", "user_id": "u", "item_id": "i"}, "field at"),
        ({"kind": "click", "at": "2026-01-01T10:00:00", "user_id": "u", "item_id": "i"}, "time zone"),
        ({"kind": "hover", "at": "2026-01-01T10:00:00Z", "user_id": "u", "item_id": "i"}, "hover"),
        ({"kind": "click", "at": "2026-01-01T10:00:00Z", "item_id": "i"}, "user_id"),
        ({"kind": "click", "at": "2027-01-01T10:00:00Z", "user_id": "u", "item_id": "i"}, "later than now"),
        ({"kind": "purchase", "at": "2026-01-01T10:00:00Z", "user_id": "u", "item_id": "i", "quantity": 0}, "quantity"),
        ({"kind": "click", "at": "2026-01-01T10:00:00Z", "user_id": "u", "item_id": "i", "usr": "x"}, "usr"),
    ],
)
def test_an_event_that_is_wrong_is_refused_with_what_is_wrong(
    tmp_path: Path, rejects: Rejects, row: dict[str, object], problem: str
) -> None:
    (tmp_path / "log.jsonl").write_text(json.dumps(row) + "\n")
    assert _events(tmp_path / "log.jsonl", rejects) == []
    assert problem in (tmp_path / "rejects" / "rows.jsonl").read_text()


def test_reading_a_file_again_gives_the_same_event_ids_and_equal_lines_give_different_ones(
    tmp_path: Path, rejects: Rejects
) -> None:
    line = json.dumps({"kind": "view", "at": "2026-01-01T10:00:00Z", "user_id": "u", "item_id": "i"})
    (tmp_path / "log.jsonl").write_text(f"{line}\n{line}\n")
    first, second = _events(tmp_path / "log.jsonl", rejects), _events(tmp_path / "log.jsonl", rejects)
    assert first == second
    assert first[0].event_id != first[1].event_id  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["missing.csv", "shop.docx"])
def test_a_file_that_cannot_be_read_stops_with_what_was_expected(tmp_path: Path, name: str) -> None:
    (tmp_path / "shop.docx").write_bytes(b"PK")
    with pytest.raises(BadFile, match="expected"):
        list(read_rows(tmp_path / name))


def test_a_parquet_file_that_is_none_is_a_bad_file(tmp_path: Path) -> None:
    (tmp_path / "shop.parquet").write_bytes(b"no parquet")
    with pytest.raises(BadFile, match="Parquet"):
        list(read_rows(tmp_path / "shop.parquet"))


def test_rows_are_counted_for_the_progress_bar(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text("{}\n{}\n{}\n")
    assert count_rows(tmp_path / "log.jsonl") == 3
