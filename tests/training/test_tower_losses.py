import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.builders import shop
from training.data.collate import Epoch, batches
from training.data.sequences import item_shares
from training.loop import LoopConfig, Worker, train_towers
from training.losses import (
    TowerLoss,
    binary_cross_entropy,
    full_softmax,
    generalised_bce,
    log_inclusion,
    sampled_softmax,
)
from training.tower_step import LossConfig, TowerStep


def test_the_sampled_softmax_with_every_item_in_the_pool_equals_the_full_one() -> None:
    torch.manual_seed(0)
    logits, targets = torch.randn(5, 9), torch.randint(0, 9, (5,))
    assert torch.allclose(sampled_softmax(logits, targets, torch.zeros(9)), full_softmax(logits, targets), atol=1e-6)


def test_the_correction_is_that_of_the_negatives_and_not_of_the_own_target() -> None:
    logits, places = torch.tensor([[1.0, 0.0]]), torch.tensor([0])
    loss = sampled_softmax(logits, places, torch.tensor([math.log(0.1), math.log(0.25)]))
    assert float(loss) == pytest.approx(math.log(math.e + 1 / 0.25) - 1)


def test_the_corrected_sampled_softmax_foresees_the_full_sum_without_bias() -> None:
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(size=50)).float()
    chance = torch.exp(log_inclusion(torch.full((50,), 1 / 50), targets=1, uniform_rate=20 / 50))
    estimates = []
    for _ in range(4000):
        drawn = torch.from_numpy(np.unique(rng.integers(0, 50, 21)))
        estimates.append(float((logits[drawn].exp() / chance[drawn]).sum()))
    assert np.mean(estimates) == pytest.approx(float(logits.exp().sum()), rel=0.02)


def test_generalised_bce_without_calibration_is_plain_bce_over_the_pool() -> None:
    logits, places = torch.tensor([[2.0, -1.0, 0.5]]), torch.tensor([0])
    plain = math.log1p(math.exp(-2.0)) + math.log1p(math.exp(-1.0)) + math.log1p(math.exp(0.5))
    assert float(generalised_bce(logits, places, items=100, calibration=0.0)) == pytest.approx(plain, rel=1e-5)
    rate = 2 / 99
    weighted = rate * math.log1p(math.exp(-2.0)) + math.log1p(math.exp(-1.0)) + math.log1p(math.exp(0.5))
    assert float(generalised_bce(logits, places, items=100, calibration=1.0)) == pytest.approx(weighted, rel=1e-4)


def test_a_negative_that_is_the_target_does_not_count() -> None:
    logits, places = torch.tensor([[2.0, -1.0]]), torch.tensor([0])
    assert float(binary_cross_entropy(logits, places, places)) == pytest.approx(math.log1p(math.exp(-2.0)), rel=1e-5)


@pytest.mark.parametrize("kind", list(TowerLoss))
def test_every_loss_teaches_the_towers(kind: TowerLoss) -> None:
    torch.manual_seed(0)
    training_set = shop.shop()
    step = TowerStep(shop.model(training_set.table), training_set.table, LossConfig(kind, negatives=5, correction=True))
    report = train_towers(step, training_set.users, LoopConfig(20, learning_rate=1e-2), Worker(), lambda *_: None)
    assert report.losses[-1] < report.losses[0]


def test_every_window_is_in_one_batch_of_each_epoch_and_batches_are_of_like_length() -> None:
    training_set = shop.shop(users=40, length=30)
    users = [user.part(0, 2 + place % 28) for place, user in enumerate(training_set.users)]
    drawn = list(batches(users, 2, 1, Epoch(0, 0)))
    assert sum(len(batch.items) for batch in drawn) == len(users)
    assert all(batch.items.shape[1] <= 50 and batch.targets.shape[1] == batch.items.shape[1] + 1 for batch in drawn)
    used = sum(batch.items.numel() for batch in drawn)
    assert used < 1.5 * sum(len(user) - 1 for user in users)


def test_workers_get_as_many_batches_and_no_window_twice() -> None:
    users = shop.shop(users=41, length=20).users
    parts = [list(batches(users, 1, 1, Epoch(3, 1, rank, 2))) for rank in range(2)]
    assert len(parts[0]) == len(parts[1]) > 0
    assert sum(len(batch.items) for part in parts for batch in part) <= len(users)


@pytest.mark.parametrize("kind", [TowerLoss.FULL_SOFTMAX, TowerLoss.SAMPLED_SOFTMAX])
def test_an_item_that_nobody_has_touched_is_no_negative(kind: TowerLoss) -> None:
    torch.manual_seed(0)
    training_set = shop.shop()
    count = len(training_set.table.vocabulary)
    users = [replace(user, items=np.where(user.items == 0, 1, user.items)) for user in training_set.users]
    model, row = shop.model(training_set.table), int(training_set.table.id_rows()[0])

    def moved(shares: torch.Tensor | None) -> float:
        model.zero_grad()
        step = TowerStep(model, training_set.table, LossConfig(kind, negatives=count), shares)
        for batch in batches(users, 8, 1, Epoch(0, 0)):
            step(batch).backward()
        return float(model.bias.weight.grad[row].abs())

    assert moved(torch.from_numpy(item_shares(users, count))) == 0.0
    assert moved(None) > 0.0
