"""Two real workers over gloo: one leads a batch training, the other follows with shards alone."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed, multiprocessing, nn

from contracts.settings import Settings
from tests.builders import shop
from training.batch import fit
from training.loop import LoopConfig, Worker
from training.ray_worker import open_sources, plan_of, read_content, write_training_set
from training.state_store import StateStore
from training.tower_stages import Plan, follow
from training.tower_step import TowerStep

WORLD = 2
USERS = 200


def settings_of(directory: Path, sharding: str) -> Settings:
    return Settings(state_dir=directory, train_workers=str(WORLD), model_width=16, train_sharding=sharding)


def planned(rank: int, directory: Path, sharding: str, begun_with: list[Any]) -> Plan:
    """The worker's plan, which keeps the weights that each stage begins with."""
    plan = plan_of(settings_of(directory, sharding), rank, WORLD, StateStore(directory / str(rank)))
    wrap = plan.wrap

    def kept(step: TowerStep) -> nn.Module:
        begun_with.append({name: tensor.clone() for name, tensor in step.model.state_dict().items()})
        return wrap(step)

    return Plan(plan.recipe, LoopConfig(2, batch=4), Worker(rank=rank, world=WORLD), kept)


def _worker(rank: int, directory: Path, sharding: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{directory}/meet", rank=rank, world_size=WORLD)
    begun_with: list[Any] = []
    plan = planned(rank, directory, sharding, begun_with)
    if rank == 0:
        fit(shop.shop(USERS), shop.no_features, plan, lambda what, share: None, open_sources(directory))
    else:
        follow(read_content(directory), open_sources(directory), plan)
    torch.save(begun_with, directory / f"weights-{rank}")
    distributed.destroy_process_group()


@pytest.mark.parametrize("sharding", ["replicate", "shard"])
def test_a_follower_begins_each_stage_with_the_leaders_weights_and_needs_no_interactions(
    tmp_path: Path, sharding: str
) -> None:
    write_training_set(tmp_path, shop.shop(USERS), settings_of(tmp_path, sharding))
    (tmp_path / "interactions.pickle").unlink()
    multiprocessing.spawn(_worker, (tmp_path, sharding), nprocs=WORLD)
    led, followed = (torch.load(tmp_path / f"weights-{rank}") for rank in range(WORLD))
    assert len(led) == len(followed) == 3
    for ours, theirs in zip(led, followed, strict=True):
        assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
    assert any(not torch.equal(tensor, led[2][name]) for name, tensor in led[1].items())


def test_a_stages_shards_hold_nothing_that_it_may_not_learn(tmp_path: Path) -> None:
    every = shop.shop(USERS)
    write_training_set(tmp_path, every, settings_of(tmp_path, "replicate"))
    held = [source.manifest.interactions for source in vars(open_sources(tmp_path)).values()]
    whole = sum(map(len, every.users))
    assert held == [pytest.approx(0.8 * whole, rel=0.02), pytest.approx(0.9 * whole, rel=0.02), whole]
