"""A shop's own files through the whole study: from two files, or sessions, to tables, pictures and a checkpoint."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from contracts.errors import BadFile, NotEnoughData
from training.data.two_files import Encoders
from training.evaluation.report import Evaluation
from training.loop import LoopConfig, Worker
from training.model import checkpoint
from training.recipe import Recipe
from training.studies import Protocol, Study, run_study
from training.tower_fit import FitPlan

USERS, LENGTH, CATEGORIES, ITEMS = 60, 6, 3, 30
PLAN = FitPlan(Recipe(width=8), LoopConfig(2, learning_rate=1e-2), Worker(seed=3))


def encoders() -> Encoders:
    def text(texts: object) -> np.ndarray:  # type: ignore[type-arg]
        words = [str(each).split() for each in texts]  # type: ignore[attr-defined]
        return np.stack([np.bincount([sum(map(ord, w)) % 16 for w in ws], minlength=16) for ws in words]).astype("f4")

    return Encoders(text=text, picture=lambda pictures: [None for _ in pictures])


def events(path: Path, seed: int = 0) -> Path:
    """Users who each touch items of one category, hours apart."""
    rng = np.random.default_rng(seed)
    rows = ["user,item,time,kind"]
    for user in range(USERS):
        own = [item for item in range(ITEMS) if item % CATEGORIES == user % CATEGORIES]
        for place, item in enumerate(rng.permutation(own)[:LENGTH]):
            rows.append(f"u{user},i{item},2026-01-{1 + 4 * place:02d}T{user % 24:02d}:00:00Z,view")
    path.write_text("\n".join(rows) + "\n")
    return path


def items(path: Path) -> Path:
    path.write_text(
        "item,title,category\n" + "".join(f"i{n},Thing {n},category {n % CATEGORIES}\n" for n in range(ITEMS))
    )
    return path


def run(study: Study) -> Evaluation:
    return run_study(study, encoders(), PLAN, lambda what, share: None)


@pytest.mark.parametrize(
    ("protocol", "named"),
    [(Protocol.LEAVE_ONE_OUT, "leave-one-out, 5 folds of users"), (Protocol.TIME_SPLIT, "time split at 2026-01-")],
)
def test_two_files_become_tables_pictures_and_a_checkpoint_that_loads(
    protocol: Protocol, named: str, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    run(Study(events(tmp_path / "e.csv"), protocol, output, items(tmp_path / "i.csv")))
    table = (output / "evaluation.md").read_text()
    for ranker in ("model", "popularity", "co_visits", "als"):
        assert f"| {ranker} |" in table
    assert json.loads((output / "evaluation.json").read_text())["protocol"].startswith(named)
    assert (output / "rankers.png").read_bytes().startswith(b"\x89PNG")
    assert len(checkpoint.load(output / "model").vocabulary) == ITEMS


def test_sessions_need_no_items_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = []
    for number in range(80):
        own = [item for item in range(ITEMS) if item % CATEGORIES == number % CATEGORIES]
        lines.append(" ".join(f"i{item}" for item in rng.permutation(own)[:5]))
    (tmp_path / "sessions.txt").write_text("\n".join(lines) + "\n")
    run(Study(tmp_path / "sessions.txt", Protocol.SESSIONS, tmp_path / "out"))
    assert "| model |" in (tmp_path / "out" / "evaluation.md").read_text()


def test_an_empty_log_is_told_with_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("user,item,time,kind\n")
    with pytest.raises(NotEnoughData, match="found"):
        run(Study(tmp_path / "e.csv", Protocol.LEAVE_ONE_OUT, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_time_split_without_times_names_the_column_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("user,item\n" + "".join(f"u{n % 9},i{n % 5}\n" for n in range(40)))
    with pytest.raises(BadFile, match="time"):
        run(Study(tmp_path / "e.csv", Protocol.TIME_SPLIT, tmp_path / "out"))


def test_wrong_rows_and_a_user_with_one_event_are_counted_and_do_no_harm(tmp_path: Path) -> None:
    path = events(tmp_path / "e.csv")
    with path.open("a") as file:
        file.write("lonely,i1,2026-01-02T00:00:00Z,view\n,i1,2026-01-02T00:00:00Z,view\nu1,i2,yesterday,view\n")
    run(Study(path, Protocol.LEAVE_ONE_OUT, tmp_path / "out"))
    table = (tmp_path / "out" / "evaluation.md").read_text()
    assert "e.csv: 1 left out, no user (first in row 362)" in table
    assert "e.csv: 1 left out, time missing, unreadable" in table
    assert " 60 users" in table  # who has one event is learned from, not tested


def test_a_corrupt_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "e.parquet").write_bytes(b"PAR1 but not for long")
    with pytest.raises(BadFile, match=r"e\.parquet"):
        run(Study(tmp_path / "e.parquet", Protocol.LEAVE_ONE_OUT, tmp_path / "out"))


def test_nan_in_a_feature_is_counted_and_not_learned(tmp_path: Path) -> None:
    path = tmp_path / "i.parquet"
    vectors = [[1.0, float("nan") if n == 3 else float(n)] for n in range(ITEMS)]
    pd.DataFrame({"item": [f"i{n}" for n in range(ITEMS)], "text_vector": vectors}).to_parquet(path)
    run(Study(events(tmp_path / "e.csv"), Protocol.LEAVE_ONE_OUT, tmp_path / "out", path))
    table = (tmp_path / "out" / "evaluation.md").read_text()
    assert "i.parquet: 1 left out, text_vector that is no list of 2 finite numbers (first in row 4)" in table
    assert "nan" not in table.split("| model |")[1].splitlines()[0]
