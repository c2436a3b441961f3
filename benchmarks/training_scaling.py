"""Two CPU workers beside one: `python -m benchmarks.training_scaling --save`. Needs two cores that do nothing else.

The towers learn one epoch of made-up users by the loop, the wrapping and the exchange (gloo) that a batch training has;
Ray, which only starts the workers, is left out, so that its start is not measured. One thread a worker; the workers of
a step take together as many windows as one alone. Runs alternate.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import distributed, multiprocessing

from benchmarks.input_throughput import made_up
from benchmarks.machine import RESULTS, machine, save
from contracts.ids import ItemId
from training.data.sequences import item_shares
from training.loop import LoopConfig, Worker, train_towers
from training.model.content import ContentShape, ContentTable
from training.model.fusion import FusionConfig, FusionTransformer
from training.model.vocabulary import Vocabulary
from training.ray_worker import wrapped
from training.tower_step import LossConfig, TowerStep

ITEMS = 8000
BATCH = 128
WIDTH = 128


def work(rank: int, world: int, users: int, folder: str) -> None:
    """One worker's epoch; worker 0 leaves the seconds of it in `folder`."""
    torch.set_num_threads(1)
    if world > 1:
        meeting = f"file://{folder}/meeting"
        distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=world)
    sequences = made_up(users, ITEMS, 7)
    table = ContentTable(ContentShape(0, 0, ITEMS), Vocabulary(ItemId(f"i{number}") for number in range(ITEMS)))
    torch.manual_seed(7)
    shares = torch.from_numpy(item_shares(sequences, ITEMS))
    step: Any = TowerStep(FusionTransformer(FusionConfig(table.shape, WIDTH)), table, LossConfig(), shares)
    if world > 1:
        step = wrapped(step, "replicate", torch.device("cpu"))
    loop = LoopConfig(1, batch=BATCH // world)
    report = train_towers(step, sequences, loop, Worker(rank=rank, world=world, seed=7), lambda what, share: None)
    if rank == 0:
        (Path(folder) / "seconds").write_text(str(report.seconds))
    if world > 1:
        distributed.destroy_process_group()


def seconds(world: int, users: int) -> float:
    """An epoch by so many workers."""
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(work, args=(world, users, folder), nprocs=world)
        return float((Path(folder) / "seconds").read_text())


def main() -> None:
    """Measures and prints."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--users", type=int, default=6000)
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--save", action="store_true")
    given = arguments.parse_args()
    on = machine()
    targets = sum(len(user) for user in made_up(given.users, ITEMS, 7))
    each: dict[int, list[float]] = {1: [], 2: []}
    for run in range(given.runs):
        for world in each:
            each[world].append(seconds(world, given.users))
        print(f"run {run + 1} of {given.runs}: {each[1][-1]:.1f} s alone, {each[2][-1]:.1f} s by two", flush=True)
    ratios = [one / two for one, two in zip(each[1], each[2], strict=True)]
    command = f"python -m benchmarks.training_scaling --users {given.users} --runs {given.runs} --save"
    result = {"command": command, "machine": on, "seconds": each, "interactions": targets, "ratio": ratios}
    page = f"""# Two CPU workers beside one

`{command}`, {on["processor"]}, {on["cores"]} cores (load before: {on["load_before"]:.1f}), Python {on["python"]}, \
{on["at"]}.

{given.users:,} made-up users, {targets:,} interactions, {ITEMS:,} items, width {WIDTH}, {BATCH} full windows a
step, gloo, one thread a worker.

| workers | an epoch, s: median (lowest to highest) | interactions a second |
|---|---|---|
| 1 | {_spread(each[1])} | {targets / np.median(each[1]):,.0f} |
| 2 | {_spread(each[2])} | {targets / np.median(each[2]):,.0f} |
| ratio | {_spread(ratios)} | |
"""
    print(page)
    if given.save:
        save("training_scaling", result)
        (RESULTS / "training_scaling.md").write_text(page)


def _spread(values: list[float]) -> str:
    return f"{np.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
