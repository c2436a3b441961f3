"""A batch without a target, which several workers need all the same, gives a finite loss of no weight."""

import numpy as np
import torch

from tests.builders import shop
from training.data.batch_source import targets_of, with_a_target
from training.data.collate import collate
from training.tower_step import TowerStep


def test_a_batch_without_a_target_aims_at_an_item_that_was_touched() -> None:
    training_set = shop.shop(users=8)
    batch = collate(training_set.users[:4], 1, np.random.default_rng(0))
    idle = type(batch)(batch.items, batch.kinds, batch.gaps, batch.targets * 0, batch.weights * 0)
    aimed = with_a_target(idle)
    assert targets_of(aimed) == 1
    shares = torch.ones(len(training_set.table.vocabulary))
    shares[0] = 0.0  # nobody has touched the first item, so that no loss compares with it
    items = batch.items + (batch.items == 0)
    step = TowerStep(shop.model(training_set.table), training_set.table, shares=shares / shares.sum())
    loss = step(with_a_target(type(batch)(items, batch.kinds, batch.gaps, batch.targets * 0, batch.weights * 0)))
    assert torch.isfinite(loss)
