"""Cells of the interactions file that are easily read wrongly."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from training.data.event_columns import read_interactions
from training.data.interactions import Interactions
from training.data.rejected import Rejected

DAY_MS = 86_400_000


def read(tmp_path: Path, text: str) -> tuple[Interactions, Rejected]:
    path = tmp_path / "e.csv"
    path.write_text(text)
    rejected = Rejected(path.name)
    return read_interactions(path, rejected), rejected


def test_a_row_that_takes_a_purchase_back_is_no_interaction(tmp_path: Path) -> None:
    log, rejected = read(tmp_path, "user,item,kind,quantity\nu,a,purchase,2\nu,b,purchase,-2\nu,c,view,\n")
    assert [log.item_ids[code] for code in log.items] == ["a", "c"]
    assert rejected.count() == 1


@pytest.mark.parametrize("days", [("20201231", "20210101"), ("2020-12-31", "2021-01-01"), ("1609372800", "1609459200")])
def test_days_and_seconds_are_the_same_times(tmp_path: Path, days: tuple[str, str]) -> None:
    log, rejected = read(tmp_path, f"user,item,time\nu,a,{days[0]}\nu,b,{days[1]}\n")
    first = round(datetime(2020, 12, 31, tzinfo=UTC).timestamp() * 1000)
    assert log.times_ms.tolist() == [first, first + DAY_MS]
    assert not rejected.count()


def test_eight_digits_among_longer_numbers_are_seconds(tmp_path: Path) -> None:
    log, _ = read(tmp_path, "user,item,time\nu,a,20201231\nu,b,1609459200\n")
    assert log.times_ms[0] == 20201231 * 1000
