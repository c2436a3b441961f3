"""Served beside joined: an impression made with the joined row, one made before a click was folded, one without."""

from pathlib import Path

from benchmarks.feature_skew import Skew, skew
from contracts.settings import Settings
from feature_repo.archive import ArchiveWriter
from feature_repo.archive_rows import event_row
from tests.streams.shop import click, impression, logged


def test_the_served_count_is_held_against_the_joined_one(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    events = [
        impression("r0", 0, "a"),
        click("a", 1),
        impression("r1", 2, "a").model_copy(update={"features_event_count": 1}),
        click("b", 3),
        impression("r2", 4, "a").model_copy(update={"features_event_count": 1}),
    ]
    writer = ArchiveWriter(settings.archive_dir, "events")
    writer.append(event_row(event, logged(event, offset)) for offset, event in enumerate(events))
    writer.flush()
    assert skew(settings) == Skew({0: 2, -1: 1}, (60_000,))
    assert skew(settings).equal_share == 2 / 3
