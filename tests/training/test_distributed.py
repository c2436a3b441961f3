"""Two real workers under Ray Train."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from contracts.errors import BadFile, NotEnoughData
from contracts.settings import Settings
from tests.builders import shop
from training import ray_worker
from training.data.archive_set import TrainingSet
from training.distributed import Source, key_of, own_states, train
from training.ray_worker import plan_of
from training.state_store import StateStore

USERS = 400
LENGTH = 16

pytestmark = pytest.mark.filterwarnings(
    r"ignore::DeprecationWarning:ray\..*",  # Ray Data's settings, which Ray itself reads
    r"ignore::FutureWarning:ray\..*",
)


class Seen:
    """Keeps what a training says of its progress."""

    def __init__(self) -> None:
        self.stages: set[str] = set()

    def __call__(self, what: str, share: float) -> None:
        assert 0.0 <= share <= 1.0
        self.stages.add(what.partition(":")[0])


class Killer(threading.Thread):
    """Kills the newest worker with SIGKILL, once, when the run has saved four states: the middle of an epoch."""

    def __init__(self, runs: Path) -> None:
        super().__init__(daemon=True)
        self._runs = runs
        self.killed: int | None = None

    def run(self) -> None:
        seen: set[str] = set()
        while len(seen) < 4:
            seen |= {path.name for path in self._runs.glob("run-*/ray/checkpoint_*")}
            time.sleep(0.01)
        self.killed = max(child.pid for child in psutil.Process().children(recursive=True) if _is_worker(child))
        os.kill(self.killed, signal.SIGKILL)


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "TrainWorker" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def source(users: int = USERS) -> Source:
    return Source(partial(shop.shop, users, LENGTH, 24), shop.no_features)


def settings_of(tmp_path: Path, workers: str, **more: object) -> Settings:
    return Settings(state_dir=tmp_path, train_workers=workers, model_width=16, **more)


@pytest.fixture
def one_core_ray() -> Iterator[None]:
    """A Ray with room for one worker."""
    import ray

    ray.init(address="local", include_dashboard=False, log_to_driver=False, num_cpus=1)
    yield
    ray.shutdown()


def test_two_workers_give_a_model_as_good_as_one_does_and_say_how_far_they_are(tmp_path: Path) -> None:
    one = train(settings_of(tmp_path, "0", train_epochs=3), source(), Seen())
    seen = Seen()
    two = train(settings_of(tmp_path, "2", train_epochs=3), source(), seen)
    assert two.metrics["ndcg_at_10_model"] == pytest.approx(one.metrics["ndcg_at_10_model"], abs=0.03)
    assert two.metrics["tower_loss"] == pytest.approx(one.metrics["tower_loss"], rel=0.05)
    assert two.examples == one.examples
    assert seen.stages >= {"towers", "heads", "evaluation"}
    assert not list((tmp_path / "train-runs").glob("run-*"))


def test_a_killed_worker_is_replaced_and_the_steps_before_are_not_repeated(tmp_path: Path) -> None:
    killer = Killer(tmp_path / "train-runs")
    killer.start()
    settings = settings_of(tmp_path, "2", train_epochs=2, train_state_every_s=0.0)
    trained = train(settings, source(users=4 * USERS), Seen())
    assert killer.killed is not None
    assert len(trained.resumed_at) == 1
    assert 1 <= trained.resumed_at[0] < trained.metrics["tower_steps"]


@pytest.mark.usefixtures("one_core_ray")
def test_a_range_of_workers_makes_do_with_the_room_there_is(tmp_path: Path) -> None:
    trained = train(settings_of(tmp_path, "1-2", train_epochs=1), source(), Seen())
    assert trained.examples == USERS * LENGTH


def test_a_corrupt_shard_ends_the_run_and_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = ray_worker.write_training_set

    def damaged(output: Path, training_set: TrainingSet, settings: Settings) -> None:
        written(output, training_set, settings)
        shard = output / ray_worker.SHARDS[1] / "part-00000.parquet"
        content = bytearray(shard.read_bytes())
        content[len(content) // 3] ^= 0xFF
        shard.write_bytes(content)

    monkeypatch.setattr(ray_worker, "write_training_set", damaged)
    with pytest.raises(BadFile, match=r"shards-newer/part-00000.parquet: found SHA-256"):
        train(settings_of(tmp_path, "2", train_epochs=1), source(), Seen())


def test_too_few_examples_are_told_before_a_worker_starts(tmp_path: Path) -> None:
    few = Source(partial(shop.shop, 2, 3), shop.no_features)
    with pytest.raises(NotEnoughData, match="found 6 interactions"):
        train(settings_of(tmp_path, "2"), few, Seen())


def test_a_training_that_was_interrupted_in_this_process_goes_on(tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def stopping(what: str, share: float) -> None:
        if share > 0.3:
            raise Stopped

    settings = settings_of(tmp_path, "0", train_epochs=3, train_state_every_s=0.0)
    whole = train(settings, source(), Seen())
    with pytest.raises(Stopped):
        train(settings, source(), stopping)
    trained = train(settings, source(), Seen())
    assert trained.resumed_at[0] > 0
    assert trained.metrics["ndcg_at_10_model"] == pytest.approx(whole.metrics["ndcg_at_10_model"], abs=1e-3)
    assert trained.metrics["tower_loss"] == pytest.approx(whole.metrics["tower_loss"], rel=1e-6)


def test_states_of_another_training_are_removed_and_a_running_ones_are_left_alone(tmp_path: Path) -> None:
    with own_states(tmp_path, "running") as running:
        with own_states(tmp_path, "running") as twin:
            assert twin != running
        (tmp_path / "states-old").mkdir()
        with own_states(tmp_path, "new"):
            assert running.exists()
            assert not (tmp_path / "states-old").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_training_is_named_by_its_interactions_and_settings(tmp_path: Path) -> None:
    def key(training_set: TrainingSet, **more: object) -> str:
        return key_of(settings_of(tmp_path, "0", **more), training_set)

    assert key(shop.shop()) == key(shop.shop())
    assert key(shop.shop()) != key(shop.shop(users=31))
    assert key(shop.shop()) != key(shop.shop(), train_epochs=9)
    assert key(shop.shop()) != key(shop.shop(), id_rows=9)


def test_workers_together_take_steps_as_large_as_one_alone(tmp_path: Path) -> None:
    states = StateStore(tmp_path)
    sizes = [plan_of(settings_of(tmp_path, "0"), 0, world, states).loop.batch for world in (1, 2, 4)]
    assert [size * world for size, world in zip(sizes, (1, 2, 4), strict=True)] == [sizes[0]] * 3
