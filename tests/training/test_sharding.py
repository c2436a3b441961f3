"""Two real workers over gloo, without a cluster: what they learn beside what one learns."""

import faulthandler
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import distributed, multiprocessing, nn
from torch.distributed.tensor import DTensor

from tests.builders import shop
from training.data.collate import Epoch, SequenceBatch, collate
from training.loop import LoopConfig, Worker, train_towers
from training.model.fusion import FusionConfig, FusionTransformer
from training.sharding import ShardedStep
from training.state_store import StateStore
from training.tower_step import TowerStep

WORLD = 2
CONFIG = LoopConfig(2, batch=8, learning_rate=1e-2)
STEPS = 2 * 32 // (WORLD * 8)
NO_GRADIENT = {"model.item_tower.pooling.key.bias", *(f"model.user_tower.blocks.{n}.qkv.bias" for n in range(2))}
"""Biases of keys: a softmax over keys does not feel them, and Adam makes steps of what rounding leaves."""


class Interrupted(Exception):
    """Stands for a process that ends."""


@dataclass(frozen=True)
class Dealt:
    """The same windows in every epoch; a step of all workers has the windows that one worker's has alone.

    `short` workers run out of batches one earlier than the others; every second batch of `idle` ones has no target.
    """

    short: tuple[int, ...] = ()
    idle: tuple[int, ...] = ()

    def batches(self, size: int, horizon: int, epoch: Epoch) -> Iterator[SequenceBatch]:
        users = shop.shop(users=32).users
        starts = range(epoch.rank * size, len(users), epoch.world * size)
        for place, start in enumerate(islice(starts, len(starts) - (epoch.rank in self.short))):
            batch = collate(users[start : start + size], horizon, np.random.default_rng(start))
            idle = epoch.rank in self.idle and place % 2
            yield replace(batch, weights=torch.zeros_like(batch.weights)) if idle else batch

    def steps(self, size: int, epoch: Epoch) -> int:
        return sum(1 for _ in self.batches(size, 1, epoch))


def quiet(what: str, share: float) -> None:
    assert 0.0 <= share <= 1.0


def tower_step(seed: int = 0) -> TowerStep:
    torch.manual_seed(seed)
    table = shop.shop(users=32).table
    return TowerStep(FusionTransformer(FusionConfig(table.shape, 16, 2, 2, dropout=0.0, modality_dropout=0.0)), table)


def curve_of(
    step: nn.Module, source: Dealt, config: LoopConfig, worker: Worker, until: int | None = None
) -> list[float]:
    losses: list[float] = []

    def observe(number: int, loss: float) -> None:
        if number - 1 == until:
            raise Interrupted
        losses.append(loss)

    train_towers(step, source, config, worker, quiet, None if until else count(9, -1).__next__, observe)
    return losses


def _worker(rank: int, directory: str) -> None:
    faulthandler.enable()
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{directory}/meet", rank=rank, world_size=WORLD)
    place, worker = Path(directory), Worker(rank=rank, world=WORLD)
    found: dict[str, Any] = {}

    def replicated(step: TowerStep) -> nn.Module:
        return nn.parallel.DistributedDataParallel(step, find_unused_parameters=True)

    def sharded(step: TowerStep) -> ShardedStep:
        return ShardedStep(step, torch.device("cpu"), table_rows=100)

    for name, wrap in (("replicate", replicated), ("shard", sharded)):
        step = tower_step(seed=rank if name == "replicate" else 0)  # replicas begin as worker 0's
        losses = curve_of(wrap(step), Dealt(), CONFIG, worker)
        found[name] = {"losses": losses, "weights": step.state_dict()}
        odd = Dealt(short=(1,), idle=(0,))
        found[f"{name}-odd"] = curve_of(wrap(tower_step()), odd, replace(CONFIG, accumulate=2, batch=4), worker)
        for until, sign in ((STEPS - 1, "interrupted"), (None, "resumed")):
            states = StateStore(place / f"{name}-states-{rank}", every_s=0.0)
            step = tower_step()
            try:
                losses = curve_of(wrap(step), Dealt(), CONFIG, replace(worker, states=states), until)
                found[f"{name}-{sign}"] = {"losses": losses, "weights": step.state_dict()}
            except Interrupted:
                distributed.barrier()
                _spread_states(place, name, rank)
    step = sharded(tower_step())
    found["kept"] = sum(p.to_local().numel() for p in step.parameters() if isinstance(p, DTensor))
    found["whole"] = sum(p.numel() for p in step.parameters())
    torch.save(found, place / f"found-{rank}.pt")
    distributed.barrier()  # nobody closes its connections while another still uses them
    distributed.destroy_process_group()


def _spread_states(place: Path, name: str, rank: int) -> None:
    """Gives every worker a copy of what worker 0 has saved, as Ray does."""
    import shutil

    if rank:
        shutil.copytree(place / f"{name}-states-0", place / f"{name}-states-{rank}", dirs_exist_ok=True)
    else:
        shutil.copytree(place / f"{name}-states-0", place / f"{name}-states-alone")
    distributed.barrier()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("gloo")
    multiprocessing.spawn(_worker, args=(str(place),), nprocs=WORLD)
    return place


@pytest.fixture(scope="module")
def found(directory: Path) -> list[dict[str, Any]]:
    """What each worker has found."""
    return [torch.load(directory / f"found-{rank}.pt") for rank in range(WORLD)]


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    """What one worker finds that takes the same steps."""
    step = tower_step()
    losses = curve_of(step, Dealt(), replace(CONFIG, batch=WORLD * CONFIG.batch), Worker())
    return {"losses": losses, "weights": step.state_dict()}


def same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    assert left["losses"] == pytest.approx(right["losses"], rel=1e-4)
    for name, tensor in left["weights"].items():
        assert name in NO_GRADIENT or torch.allclose(tensor, right["weights"][name], atol=1e-3), name
    return True


@pytest.mark.parametrize("sharding", ["replicate", "shard"])
def test_two_workers_learn_what_one_learns(found: list[dict[str, Any]], alone: dict[str, Any], sharding: str) -> None:
    assert len(alone["losses"]) == STEPS
    for rank in range(WORLD):
        assert same(found[rank][sharding], alone)


@pytest.mark.parametrize("sharding", ["replicate", "shard"])
def test_workers_end_with_equal_weights(found: list[dict[str, Any]], sharding: str) -> None:
    for name, tensor in found[0][sharding]["weights"].items():
        assert torch.equal(tensor, found[1][sharding]["weights"][name]), name


def test_a_sharded_worker_keeps_half_of_every_table(found: list[dict[str, Any]]) -> None:
    assert sum(each["kept"] for each in found) == pytest.approx(found[0]["whole"], rel=0.01)
    assert found[0]["kept"] < 0.6 * found[0]["whole"]


@pytest.mark.parametrize("sharding", ["replicate", "shard"])
def test_workers_with_fewer_batches_and_without_targets_hold_nobody_up(
    found: list[dict[str, Any]], sharding: str
) -> None:
    # 4 batches for worker 0, of which half are idle; 3 for worker 1; 2 a step: two steps an epoch.
    assert len(found[0][f"{sharding}-odd"]) == 2 * 2
    assert found[0][f"{sharding}-odd"] == found[1][f"{sharding}-odd"]
    assert found[0]["replicate-odd"] == pytest.approx(found[0]["shard-odd"], rel=1e-4)


@pytest.mark.parametrize("sharding", ["replicate", "shard"])
def test_two_workers_go_on_where_they_were(found: list[dict[str, Any]], sharding: str) -> None:
    whole, resumed = found[0][sharding], found[0][f"{sharding}-resumed"]
    assert len(resumed["losses"]) == 1
    assert same({**resumed, "losses": whole["losses"][:-1] + resumed["losses"]}, whole)


@pytest.mark.parametrize("sharding", ["replicate", "shard"])
def test_one_worker_goes_on_where_two_were(
    directory: Path, found: list[dict[str, Any]], alone: dict[str, Any], sharding: str
) -> None:
    step = tower_step(seed=99)
    states = StateStore(directory / f"{sharding}-states-alone", every_s=0.0)
    config = replace(CONFIG, batch=WORLD * CONFIG.batch)
    losses = curve_of(step, Dealt(), config, Worker(states=states))
    assert same({"losses": alone["losses"][:-1] + losses, "weights": step.state_dict()}, alone)


class Broken(Dealt):
    """Worker 1 fails at its second batch."""

    def batches(self, size: int, horizon: int, epoch: Epoch) -> Iterator[SequenceBatch]:
        for place, batch in enumerate(super().batches(size, horizon, epoch)):
            if epoch.rank and place:
                raise Interrupted
            yield batch

    def steps(self, size: int, epoch: Epoch) -> int:
        return 2


def _failing(rank: int, directory: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{directory}/meet", rank=rank, world_size=WORLD)
    step = nn.parallel.DistributedDataParallel(tower_step(), find_unused_parameters=True)
    curve_of(step, Broken(), CONFIG, Worker(rank=rank, world=WORLD))


def test_a_worker_that_fails_leaves_no_other_waiting(tmp_path: Path) -> None:
    with pytest.raises(multiprocessing.ProcessRaisedException, match=r"Interrupted|closed|reset"):
        multiprocessing.spawn(_failing, args=(str(tmp_path),), nprocs=WORLD)
