import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ray import tune

from contracts.errors import BadInput, NotEnoughData
from tests.builders import shop
from training import tuning
from training.evaluation.protocol import Split, leave_one_out
from training.run_log import NoRunLog, TensorBoardLog, run_log
from training.trials import METRIC, Trial, Trials
from training.tuning import Search, search


class CtrlCAfter(tune.Callback):
    """Interrupts the driver once (Ctrl-C), when a number of trials are done; `folder` holds what it has seen.

    A resumed search brings back this object as it was when the search began, so what it has seen stands in files.
    """

    def __init__(self, trials: int, folder: Path) -> None:
        self._trials, self._folder = trials, folder

    def ids(self, name: str) -> list[str]:
        path = self._folder / name
        return path.read_text().split() if path.exists() else []

    def on_trial_start(self, iteration: int, trials: list[object], trial: object, **info: object) -> None:
        self._write("began", trial)

    def on_trial_complete(self, iteration: int, trials: list[object], trial: object, **info: object) -> None:
        self._write("done", trial)

    def on_step_end(self, iteration: int, trials: list[object], **info: object) -> None:
        if len(self.ids("done")) >= self._trials and not (self._folder / "interrupted").exists():
            (self._folder / "interrupted").touch()
            signal.raise_signal(signal.SIGINT)

    def _write(self, name: str, trial: object) -> None:
        with (self._folder / name).open("a") as file:
            file.write(f"{trial.trial_id}\n")  # type: ignore[attr-defined]


def small_split() -> Split:
    return leave_one_out(shop.shop(users=24, length=8))


def small_knobs() -> dict[str, object]:
    return {
        "width": tune.choice([8, 16]), "layers": 1, "dropout": 0.1, "learning_rate": tune.loguniform(1e-3, 1e-2),
        "loss": "full-softmax", "negatives": 16, "block": "pre-norm",
    }  # fmt: skip


def test_an_interrupted_search_goes_on_without_repeating_finished_trials(tmp_path: Path) -> None:
    bounds = Search("tiny", tmp_path, trials=3, epochs=2)
    seen = CtrlCAfter(2, tmp_path)
    search(small_split(), bounds, small_knobs(), [seen])
    done = seen.ids("done")
    assert len(done) == 2
    told: list[str] = []
    found = search(small_split(), bounds, progress=lambda what, share: told.append(what))
    assert told == ["trial 3 of 3"]
    assert len(found.trials) == 3
    assert all(trial.ndcg is not None and not trial.error for trial in found.trials)
    assert len({json.dumps(trial.knobs) for trial in found.trials}) == 3
    began = seen.ids("began")
    assert [began.count(trial) for trial in done] == [1, 1], "finished trials are not run again"
    again = search(small_split(), bounds)
    assert again == found, "a finished search is read, not run"


def test_a_search_without_validation_users_is_refused(tmp_path: Path) -> None:
    split = Split("none", shop.shop(), (), shop.shop(), (), True, 0)
    with pytest.raises(NotEnoughData, match="no validation users"):
        search(split, Search("none", tmp_path))


def test_a_search_is_not_gone_on_with_over_other_interactions(tmp_path: Path) -> None:
    bounds = Search("tiny", tmp_path, trials=1, epochs=1)
    search(small_split(), bounds, small_knobs())
    with pytest.raises(BadInput, match="other interactions"):
        search(leave_one_out(shop.shop(users=25, length=8)), bounds, small_knobs())


def test_trials_come_best_first_and_failed_ones_last(tmp_path: Path) -> None:
    made = Trials.of(
        "s",
        "leave-one-out",
        [
            Trial("a", {"width": 32}, None, 0, 1.0, "a | b"),
            Trial("b", {"width": 64}, 0.1, 3, 2.0),
            Trial("c", {"width": 16, "dropout": 0.25}, 0.2, 3, 2.0),
        ],
    )
    assert [trial.name for trial in made.trials] == ["c", "b", "a"]
    assert made.best is made.trials[0]
    made.write(tmp_path)
    assert "| c | 0.2000 | 3 | 2 | 0.25 | 16 |  |" in (tmp_path / "trials.md").read_text()
    assert json.loads((tmp_path / "trials.json").read_text())["trials"][2]["error"] == "a | b"
    assert Trials.of("s", "p", [Trial("a", {}, None, 0, 0.0)]).best is None


def test_scalars_of_worker_zero_are_read_back_from_its_event_files(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = run_log(tmp_path, "run-1", rank=0)
    assert isinstance(log, TensorBoardLog)
    with log:
        for step in range(3):
            log.scalar("towers/loss", 1.0 / (step + 1), step)
    read = EventAccumulator(str(tmp_path / "tensorboard" / "run-1"))
    read.Reload()
    assert [event.step for event in read.Scalars("towers/loss")] == [0, 1, 2]
    assert [event.value for event in read.Scalars("towers/loss")] == pytest.approx([1.0, 1 / 2, 1 / 3])


def test_other_workers_write_nothing_and_a_name_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    log = run_log(tmp_path, "run-1", rank=1)
    assert isinstance(log, NoRunLog)
    log.scalar("towers/loss", float(np.float32(1)), 0)
    log.close()
    assert not list(tmp_path.iterdir())
    with pytest.raises(BadInput, match="run's name"):
        run_log(tmp_path, "../elsewhere", rank=0)


def test_a_trial_is_judged_by_the_validation_users_and_never_by_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each split is tried with the same seed; only what its users are to be ranked on differs."""
    knobs = {"width": 8, "layers": 1, "negatives": 16, "loss": "full-softmax", "learning_rate": 0.02}
    split = small_split()

    def judged(tried: Split) -> list[float]:
        reports: list[dict[str, float]] = []
        monkeypatch.setattr(tune, "report", reports.append)
        tuning._trial(knobs, split=tried, config=Search("s", Path(), epochs=8))
        return [report[METRIC] for report in reports]

    items = len(split.training.table.vocabulary)
    moved = tuple(replace(user, targets=frozenset((each + 1) % items for each in user.targets)) for user in split.test)
    other = tuple(
        replace(user, targets=frozenset((each + 1) % items for each in user.targets)) for user in split.validation
    )
    figures = judged(split)
    assert len(set(figures)) > 1  # of the model as it learns
    assert judged(replace(split, test=moved)) == figures
    assert judged(replace(split, validation=other)) != figures
