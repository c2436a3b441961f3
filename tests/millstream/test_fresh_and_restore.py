"""What happens to state when the embedded broker's log begins anew, and what goes back on a log that was lost."""

from datetime import UTC, datetime

from contracts.catalogue import Item
from contracts.events import Click, ImpressedItem, Impression, ItemDeleted, ItemUpserted
from contracts.ids import EventId, ItemId, RequestId, UserId
from contracts.ports import LoggedMessage
from contracts.settings import Settings
from contracts.topics import EVENTS, ITEMS
from contracts.wire import decode_catalogue_event, decode_user_event
from feature_repo.archive_rows import catalogue_row, event_row
from millstream.stack.environment import setting_variables
from millstream.stack.fresh import put_aside_derived_state, put_aside_for_restore, restore_dir
from millstream.stack.restored_rows import catalogue_messages, event_messages

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)


def _write(settings: Settings, *names: str) -> None:
    for name in names:
        (settings.state_dir / name).mkdir(parents=True)
        (settings.state_dir / name / "kept").write_text(name)


def test_on_the_embedded_broker_derived_state_moves_aside_and_pictures_stay(local_settings: Settings) -> None:
    _write(local_settings, "feast", "archive", "models", "pictures")
    assert set(put_aside_derived_state(local_settings)) == {"feast", "archive", "models"}
    assert (local_settings.state_dir / "previous" / "archive" / "kept").read_text() == "archive"
    assert (local_settings.state_dir / "pictures" / "kept").exists()
    assert put_aside_derived_state(local_settings) == ()
    assert (local_settings.state_dir / "previous" / "archive" / "kept").exists()


def test_with_an_apache_kafka_nothing_moves(local_settings: Settings) -> None:
    _write(local_settings, "feast", "archive")
    on_kafka = local_settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:9092"})
    assert put_aside_derived_state(on_kafka) == ()
    assert (local_settings.archive_dir / "kept").exists()


def test_after_the_broker_died_the_archive_waits_to_be_restored_and_stream_state_is_gone(
    local_settings: Settings,
) -> None:
    _write(local_settings, "archive", "streams")
    put_aside_for_restore(local_settings)
    assert (restore_dir(local_settings) / "kept").exists()
    assert not local_settings.archive_dir.exists()
    assert not local_settings.streams_dir.exists()


def test_a_restore_that_a_second_death_interrupted_keeps_what_it_had(local_settings: Settings) -> None:
    _write(local_settings, "archive", "restore")
    put_aside_for_restore(local_settings)
    assert (restore_dir(local_settings) / "kept").read_text() == "restore"


def test_archived_events_go_back_as_they_were_but_untraced() -> None:
    click = Click(
        event_id=EventId("e1"), at=AT, user_id=UserId("u"), item_id=ItemId("i"), request_id=RequestId("r"), traced=True
    )
    seen = Impression(
        event_id=EventId("e0"), at=AT, user_id=UserId("u"), request_id=RequestId("r"), surface="recommendations",
        model_version=None, items=(ImpressedItem(item_id=ItemId("i"), position=0, score=0.5, sources=("model",)),),
    )  # fmt: skip
    rows = [event_row(event, LoggedMessage(EVENTS.name, 2, n, b"u", b"")) for n, event in enumerate((seen, click))]
    back = [decode_user_event(value, AT) for _, value in event_messages(rows)]
    assert back == [seen, click.model_copy(update={"traced": False})]


def test_the_catalogue_goes_back_as_it_last_was_without_what_was_deleted() -> None:
    old, new = Item(item_id=ItemId("a"), title="Old"), Item(item_id=ItemId("a"), title="New", attributes={"x": "1"})
    rows = [
        catalogue_row(event, LoggedMessage(ITEMS.name, 2, n, None, b""))
        for n, event in enumerate(
            (
                ItemUpserted(event_id=EventId("1"), at=AT, item=old),
                ItemUpserted(event_id=EventId("2"), at=AT, item=Item(item_id=ItemId("b"), title="B")),
                ItemUpserted(event_id=EventId("3"), at=AT, item=new),
                ItemDeleted(event_id=EventId("4"), at=AT, item_id=ItemId("b")),
            )
        )
    ]
    back = [decode_catalogue_event(value, AT) for _, value in catalogue_messages(rows)]
    assert [event.item for event in back if isinstance(event, ItemUpserted)] == [new]


def test_a_child_process_reads_the_same_settings_back(
    local_settings: Settings,
) -> None:
    variables = setting_variables(local_settings.model_copy(update={"gateway_port": 21499, "train_epochs": 9}))
    read = Settings.model_validate(
        {name.removeprefix("MILLSTREAM_").lower(): value for name, value in variables.items()}
    )
    assert read.gateway_port == 21499
    assert read.train_epochs == 9
    assert read.state_dir == local_settings.state_dir
