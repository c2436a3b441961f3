"""The words of a training in another process reach the one who waits for it."""

import time
from pathlib import Path

import pytest

from training.progress_file import ProgressFile, followed

Word = tuple[str, float]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "progress.jsonl"


def test_every_stage_is_told_however_short_it_is(path: Path) -> None:
    told: list[Word] = []
    with followed(path, lambda what, share: told.append((what, share))):
        say = ProgressFile(path)
        for stage in range(20):
            say(f"stage {stage}", stage / 20)
    assert told == [(f"stage {stage}", stage / 20) for stage in range(20)]


def test_of_one_stage_a_few_shares_a_second_are_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Word] = []
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    say = ProgressFile(path)
    for step in range(100):
        now = step / 100
        say("towers", now)
    monkeypatch.undo()
    with followed(path, lambda what, share: told.append((what, share))):
        pass
    assert told == [("towers", 0.0), ("towers", 0.25), ("towers", 0.5), ("towers", 0.75)]


def test_a_line_that_is_being_written_waits_for_its_end(path: Path) -> None:
    told: list[Word] = []
    say = ProgressFile(path)
    say("towers", 0.5)
    with path.open("a") as file:
        file.write('{"what": "hea')
    with followed(path, lambda what, share: told.append((what, share))):
        pass
    assert told == [("towers", 0.5)]


def test_a_training_that_says_nothing_is_followed_too(path: Path) -> None:
    with followed(path, lambda what, share: pytest.fail("nothing was said")):
        pass
