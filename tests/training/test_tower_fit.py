import torch

from tests.builders import shop
from training.evaluation.protocol import session_split
from training.loop import LoopConfig, Worker
from training.recipe import Recipe
from training.tower_fit import FitPlan, fit_towers
from training.trust import FOREVER_DAYS, Popularities
from training.warm_start import warm_start


def test_where_every_epoch_ranks_worse_the_warm_start_is_what_ranks() -> None:
    split = session_split(shop.shop(users=60, items=30))
    curve: list[float] = []
    ruinous = LoopConfig(epochs=3, batch=2, learning_rate=30.0)
    plan = FitPlan(Recipe(width=16), ruinous, Worker(), without_history=False, newer=split.newer, observe=curve.append)
    fitted = fit_towers(split.training, split.validation, plan, lambda what, share: None)
    assert max(curve[1:]) < curve[0]

    torch.manual_seed(plan.worker.seed)
    fresh = shop.model(split.newer.table)
    counts = Popularities(split.newer).counts(FOREVER_DAYS)
    warm_start(fresh, split.newer.table, split.newer.users, counts, plan.worker.seed)
    assert torch.equal(fitted.model.item_tower.ids.weight, fresh.item_tower.ids.weight)
    assert torch.equal(fitted.model.user_tower.item.weight, fresh.user_tower.item.weight)
