"""The archive: rows of every message kind, files that appear whole, each row once."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contracts.catalogue import Item
from contracts.clock import Clock
from contracts.events import (
    Click,
    EventKind,
    ImpressedItem,
    Impression,
    ItemDeleted,
    ItemUpserted,
    Purchase,
    Search,
)
from contracts.examples import TrainingExample
from contracts.ids import EventId, ExampleId, ItemId, ModelVersion, RequestId, UserId
from contracts.ports import LoggedMessage
from contracts.rows import ItemVectors
from contracts.topics import ITEMS
from feature_repo import archive_rows
from feature_repo.archive import ArchiveReader, ArchiveWriter
from feature_repo.archive_schemas import DATASETS, PLACE

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def ticking() -> Clock:
    ticks = iter(range(10_000))
    return lambda: NOON + timedelta(seconds=next(ticks))


def purchase(number: int, at: datetime = NOON) -> Purchase:
    return Purchase(
        event_id=EventId(f"evt-{number}"), at=at, user_id=UserId("u-1"), item_id=ItemId("i-1"), price_cents=250
    )


def archived(directory: Path, dataset: str, *rows: archive_rows.Row) -> pa.Table:
    writer = ArchiveWriter(directory, dataset, ticking())
    writer.append(rows)
    writer.flush()
    return ArchiveReader(directory).read(dataset)


def test_an_impression_keeps_its_items(tmp_path: Path) -> None:
    impression = Impression(
        event_id=EventId("evt-1"), at=NOON, user_id=UserId("u-1"), request_id=RequestId("r-1"),
        surface="recommendations", model_version=ModelVersion("v-1"),
        items=(ImpressedItem(item_id=ItemId("i-1"), position=0, score=0.5, sources=("trending", "model")),),
    )  # fmt: skip
    (row,) = archived(tmp_path, "events", archive_rows.event_row(impression)).to_pylist()
    assert row["kind"] == "impression"
    assert row["at"] == NOON
    assert row["items"] == [{"item_id": "i-1", "position": 0, "score": 0.5, "sources": ["trending", "model"]}]
    assert row["quantity"] is None


@pytest.mark.parametrize(
    ("event", "kept"),
    [
        (purchase(1), {"kind": "purchase", "item_id": "i-1", "quantity": 1, "price_cents": 250, "items": None}),
        (
            Click(event_id=EventId("evt-2"), at=NOON, user_id=UserId("u-1"), item_id=ItemId("i-2")),
            {"kind": "click", "item_id": "i-2", "quantity": None},
        ),
        (
            Search(event_id=EventId("evt-3"), at=NOON, user_id=UserId("u-1"), text="red shoes"),
            {"kind": "search", "item_id": None, "text": "red shoes"},
        ),
    ],
)
def test_an_interaction_keeps_its_own_columns(tmp_path: Path, event: Click, kept: dict[str, object]) -> None:
    (row,) = archived(tmp_path, "events", archive_rows.event_row(event)).to_pylist()
    assert {name: row[name] for name in kept} == kept


def test_catalogue_events_keep_the_item_and_its_deletion(tmp_path: Path) -> None:
    item = Item(item_id=ItemId("i-1"), title="Shoe", attributes={"size": "42"}, price_cents=999)
    upserted = ItemUpserted(event_id=EventId("evt-1"), at=NOON, item=item)
    deleted = ItemDeleted(event_id=EventId("evt-2"), at=NOON + timedelta(hours=1), item_id=ItemId("i-1"))
    rows = archived(
        tmp_path, "items", archive_rows.catalogue_row(upserted), archive_rows.catalogue_row(deleted)
    ).to_pylist()
    assert [row["deleted"] for row in rows] == [False, True]
    assert dict(rows[0]["attributes"]) == {"size": "42"}
    assert (rows[0]["title"], rows[1]["title"]) == ("Shoe", None)


def test_an_example_comes_back_equal(tmp_path: Path) -> None:
    example = TrainingExample(
        example_id=ExampleId("x-1"), user_id=UserId("u-1"), item_id=ItemId("i-1"), at=NOON,
        outcome=EventKind.CLICK, event_id=EventId("evt-1"), position=2,
        history_items=(ItemId("i-8"), ItemId("i-9")), history_kinds=(EventKind.VIEW, EventKind.CLICK),
        history_times_ms=(1, 2), traced=True,
    )  # fmt: skip
    (row,) = archived(tmp_path, "feedback", archive_rows.example_row(example)).to_pylist()
    assert TrainingExample(**{name: value for name, value in row.items() if name not in PLACE}) == example


def test_vectors_come_back(tmp_path: Path) -> None:
    vectors = ItemVectors(
        item_id=ItemId("i-1"), at=NOON, text="AAA=", picture=None, text_encoder="t", picture_encoder="p"
    )
    (row,) = archived(tmp_path, "item_vectors", archive_rows.vectors_row(vectors)).to_pylist()
    assert ItemVectors(**{name: row[name] for name in ItemVectors.model_fields if name in row}) == vectors


def test_a_row_written_twice_is_read_once(tmp_path: Path) -> None:
    writer = ArchiveWriter(tmp_path, "events", ticking())
    for batch in ((1, 2), (2, 3)):
        writer.append(archive_rows.event_row(purchase(number)) for number in batch)
        writer.flush()
    assert ArchiveReader(tmp_path).read("events")["event_id"].to_pylist() == ["evt-1", "evt-2", "evt-3"]


def test_rows_go_to_the_partition_of_their_event_time(tmp_path: Path) -> None:
    writer = ArchiveWriter(tmp_path, "events", ticking())
    writer.append(archive_rows.event_row(purchase(n, NOON + timedelta(days=n))) for n in range(3))
    assert sorted(path.parent.name for path in writer.flush()) == [
        "date=2026-03-01", "date=2026-03-02", "date=2026-03-03",
    ]  # fmt: skip
    newest = ArchiveReader(tmp_path).read("events", columns=["event_id"], since=NOON + timedelta(days=1))
    assert newest.to_pylist() == [{"event_id": "evt-1"}, {"event_id": "evt-2"}]


def test_since_cuts_within_a_day(tmp_path: Path) -> None:
    writer = ArchiveWriter(tmp_path, "events", ticking())
    writer.append(archive_rows.event_row(purchase(n, NOON + timedelta(minutes=n))) for n in range(3))
    writer.flush()
    assert ArchiveReader(tmp_path).read("events", since=NOON + timedelta(minutes=2)).num_rows == 3 - 2


def test_rows_come_in_the_order_of_event_time_not_of_writing(tmp_path: Path) -> None:
    late_first = [archive_rows.event_row(purchase(n, NOON - timedelta(days=n))) for n in range(3)]
    assert archived(tmp_path, "events", *late_first)["event_id"].to_pylist() == ["evt-2", "evt-1", "evt-0"]


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_dataset_never_written_is_empty_with_its_schema(tmp_path: Path, dataset: str) -> None:
    assert ArchiveReader(tmp_path).read(dataset).schema == DATASETS[dataset].schema


def test_of_an_items_versions_the_last_in_the_log_stands_whatever_its_clock_said() -> None:
    def version(title: str, minutes: int, offset: int | None) -> archive_rows.Row:
        event = ItemUpserted(at=NOON + timedelta(minutes=minutes), item=Item(item_id=ItemId("i-1"), title=title))
        return archive_rows.catalogue_row(
            event, None if offset is None else LoggedMessage(ITEMS.name, 0, offset, None, None)
        )

    unplaced = [version("oldest", 0, None), version("older", 90, None)]
    assert archive_rows.last_of_each(unplaced)[ItemId("i-1")]["title"] == "older"
    rows = sorted([*unplaced, version("old", 60, 3), version("new", 30, 4)], key=lambda row: row["at"])
    assert archive_rows.last_of_each(rows)[ItemId("i-1")]["title"] == "new"


def test_nothing_buffered_writes_no_file(tmp_path: Path) -> None:
    assert ArchiveWriter(tmp_path, "events").flush() == []


def test_a_file_of_a_crashed_writer_is_not_read(tmp_path: Path) -> None:
    archived(tmp_path, "events", archive_rows.event_row(purchase(1)))
    (tmp_path / "events" / "date=2026-03-01" / "part-0.partial").write_bytes(b"half a file")
    assert ArchiveReader(tmp_path).read("events").num_rows == 1


def test_rows_are_kept_for_another_try_when_the_disk_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = ArchiveWriter(tmp_path, "events", ticking())
    writer.append([archive_rows.event_row(purchase(n, NOON + timedelta(days=n))) for n in range(2)])

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(pq, "write_table", refuse)
        with pytest.raises(OSError, match="no space"):
            writer.flush()
    assert writer.pending() == 2
    writer.flush()
    assert ArchiveReader(tmp_path).read("events").num_rows == 2
