from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from contracts.errors import BadCheckpoint
from tests.builders import shop
from training.data.batch_source import targets_of
from training.data.collate import Epoch, SequenceBatch, collate
from training.data.prefetch import prefetched
from training.loop import LoopConfig, LoopReport, Worker, train_towers
from training.loop_config import autocasts
from training.losses import TowerLoss
from training.model.fusion import FusionConfig, FusionTransformer
from training.optimizer import rate_at
from training.state_store import StateStore
from training.tower_step import LossConfig, TowerStep

CONFIG = LoopConfig(3, batch=2, learning_rate=1e-2, patience=9)

NO_GRADIENT = {"model.item_tower.pooling.key.bias", *(f"model.user_tower.blocks.{n}.qkv.bias" for n in range(2))}
"""Biases of keys: a softmax over keys does not feel them, and Adam makes steps of what rounding leaves."""


class Interrupted(Exception):
    """Stands for a process that ends."""


@dataclass(frozen=True)
class Fixed:
    """The same windows in the same order in every epoch: what is compared is the loop, not the draw."""

    length: int = 14

    def batches(self, size: int, horizon: int, epoch: Epoch) -> Iterator[SequenceBatch]:
        users = shop.shop(users=32, length=self.length).users
        for start in range(0, len(users), size):
            yield collate(users[start : start + size], horizon, np.random.default_rng(start))

    def steps(self, size: int, epoch: Epoch) -> int:
        return -(-32 // size)


class Curve:
    """Keeps the loss of each step, and ends the process after one of them."""

    def __init__(self, until: int | None = None) -> None:
        self.losses: dict[int, float] = {}
        self._until = until

    def __call__(self, step: int, loss: float) -> None:
        if step - 1 == self._until:
            raise Interrupted
        self.losses[step] = loss


def quiet(what: str, share: float) -> None:
    assert 0.0 <= share <= 1.0


def tower_step(dropout: float = 0.2, seed: int = 0, loss: TowerLoss = TowerLoss.AUTO) -> TowerStep:
    torch.manual_seed(seed)
    table = shop.shop(users=32).table
    config = FusionConfig(table.shape, 16, 2, 2, dropout, modality_dropout=dropout)
    return TowerStep(FusionTransformer(config), table, LossConfig(loss, negatives=5))


def weights(step: TowerStep) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in step.state_dict().items()}


def trained(step: TowerStep, config: LoopConfig, curve: Curve, worker: Worker) -> LoopReport:
    users = shop.shop(users=32).users
    later = collate(users[:8], 1, np.random.default_rng(0))
    return train_towers(step, users, config, worker, quiet, lambda: float(step(later).detach()), observe=curve)


@pytest.mark.parametrize("until", [1, 3, 4, 7, 11])
@pytest.mark.parametrize("loss", [TowerLoss.FULL_SOFTMAX, TowerLoss.SAMPLED_SOFTMAX])  # the latter draws negatives
def test_a_resumed_training_has_the_losses_and_weights_of_an_uninterrupted_one(
    tmp_path: Path, until: int, loss: TowerLoss
) -> None:
    whole, step = Curve(), tower_step(loss=loss)
    report = trained(step, CONFIG, whole, Worker())
    first, second = Curve(until), Curve()
    with pytest.raises(Interrupted):
        trained(tower_step(loss=loss), CONFIG, first, Worker(states=StateStore(tmp_path, every_s=0.0)))
    resumed = tower_step(seed=99, loss=loss)  # nothing of the new process's own start may count
    again = trained(resumed, CONFIG, second, Worker(states=StateStore(tmp_path, every_s=0.0)))
    assert min(second.losses) == until + 1
    assert first.losses | second.losses == whole.losses
    assert (again.losses, again.steps) == (report.losses, report.steps)
    for name, tensor in step.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_a_finished_training_is_passed_through_without_a_step_and_random_numbers_go_on(tmp_path: Path) -> None:
    step = tower_step()
    report = trained(step, CONFIG, Curve(), Worker(states=StateStore(tmp_path)))
    drawn = torch.rand(3)
    curve, again = Curve(), tower_step(seed=99)
    passed = trained(again, CONFIG, curve, Worker(states=StateStore(tmp_path)))
    assert curve.losses == {}
    assert passed == report
    assert torch.equal(torch.rand(3), drawn)
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in step.state_dict().items())


def test_trainings_of_one_run_keep_their_states_apart(tmp_path: Path) -> None:
    states = StateStore(tmp_path, every_s=0.0)
    for config in (CONFIG, replace(CONFIG, epochs=1)):
        trained(tower_step(), config, Curve(), Worker(states=states))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["training-1", "training-2"]


def test_a_state_of_other_settings_is_refused(tmp_path: Path) -> None:
    trained(tower_step(), CONFIG, Curve(), Worker(states=StateStore(tmp_path)))
    with pytest.raises(BadCheckpoint, match="epochs=3"):
        trained(tower_step(), replace(CONFIG, epochs=4), Curve(), Worker(states=StateStore(tmp_path)))


def test_the_best_weights_of_before_the_interruption_come_back(tmp_path: Path) -> None:
    validated = iter([4.0, 3.0, 3.5])
    kept: list[dict[str, torch.Tensor]] = []

    def validate(step: TowerStep) -> float:
        kept.append(weights(step))
        return next(validated)

    def run(step: TowerStep, curve: Curve) -> None:
        states = StateStore(tmp_path, every_s=0.0)
        config = replace(CONFIG, batch=8, patience=1)
        train_towers(step, Fixed(), config, Worker(states=states), quiet, lambda: validate(step), observe=curve)

    with pytest.raises(Interrupted):
        run(tower_step(), Curve(6))
    resumed = tower_step(seed=99)
    run(resumed, Curve())
    assert len(kept) == 3
    assert all(torch.equal(tensor, kept[1][name]) for name, tensor in resumed.state_dict().items())


def test_one_batch_of_sixteen_equals_two_of_eight() -> None:
    curves, steps = [], []
    for size, accumulate in ((16, 1), (8, 2)):
        curve, step = Curve(), tower_step(dropout=0.0)
        config = LoopConfig(2, batch=size, learning_rate=1e-2, accumulate=accumulate)
        assert train_towers(step, Fixed(), config, Worker(), quiet, observe=curve).steps == 2 * 32 // 16
        curves.append(curve.losses)
        steps.append(step.state_dict())
    assert curves[0] == pytest.approx(curves[1], rel=1e-5)
    for name, tensor in steps[0].items():
        if name not in NO_GRADIENT:
            assert torch.allclose(tensor, steps[1][name], atol=1e-4), name


def test_batches_count_by_their_targets() -> None:
    long = shop.shop(users=32).users[:4]
    short = [user.part(0, 2) for user in long]

    class Uneven(Fixed):
        def batches(self, size: int, horizon: int, epoch: Epoch) -> Iterator[SequenceBatch]:
            for users in (long, short):
                yield collate(users, 1, np.random.default_rng(0))

    curve, step = Curve(), tower_step(dropout=0.0)
    alone = [float(step(batch).detach()) for batch in Uneven().batches(4, 1, Epoch(0, 0))]
    targets = [targets_of(batch) for batch in Uneven().batches(4, 1, Epoch(0, 0))]
    train_towers(step, Uneven(), LoopConfig(1, accumulate=2), Worker(), quiet, observe=curve)
    assert curve.losses[1] == pytest.approx(np.average(alone, weights=targets))


def test_a_batch_without_any_target_changes_no_loss_and_no_gradient() -> None:
    class Empty(Fixed):
        def batches(self, size: int, horizon: int, epoch: Epoch) -> Iterator[SequenceBatch]:
            for batch in super().batches(size, horizon, epoch):
                yield batch
                yield replace(batch, weights=torch.zeros_like(batch.weights))

        def steps(self, size: int, epoch: Epoch) -> int:
            return 2 * super().steps(size, epoch)

    curves = []
    for source, accumulate in ((Fixed(), 1), (Empty(), 2)):
        curve = Curve()
        config = LoopConfig(2, batch=8, learning_rate=1e-2, accumulate=accumulate)
        train_towers(tower_step(dropout=0.0), source, config, Worker(), quiet, observe=curve)
        curves.append(curve.losses)
    assert curves[0] == pytest.approx(curves[1], rel=1e-5)


def test_bfloat16_trains_close_to_float32() -> None:
    losses = []
    for precision in ("off", "on"):
        config = LoopConfig(4, batch=8, learning_rate=1e-2, precision=precision)
        losses.append(train_towers(tower_step(dropout=0.0), Fixed(), config, Worker(), quiet).losses)
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.03)


def test_bfloat16_is_off_on_a_cpu_unless_asked_for() -> None:
    cpu = torch.device("cpu")
    assert [autocasts(precision, cpu) for precision in ("auto", "off", "on")] == [False, False, True]


def test_the_rate_rises_for_a_tenth_and_falls_to_the_end() -> None:
    assert rate_at(0.025) == pytest.approx(0.025 / 0.05 + 0.01)
    assert rate_at(0.05) == pytest.approx(1.0)
    assert rate_at(0.525) == pytest.approx(0.5)
    assert rate_at(1.0) == pytest.approx(0.01)


def test_what_is_made_ahead_comes_in_order_with_its_error_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield from range(20)
        raise Interrupted

    seen: list[int] = []
    ahead = prefetched(items(), 3)
    seen.extend(next(ahead) for _ in range(20))
    with pytest.raises(Interrupted):
        next(ahead)
    assert seen == list(range(20))
