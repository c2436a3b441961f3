"""How fast batches come from shards, beside how fast training uses them: `python -m benchmarks.input_throughput`.

Users are made up: lengths from a log-normal, items by Zipf, so that the log is as uneven as a real one. One thread
each: batches are counted over whole epochs with nothing that uses them, then some of them are trained on.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.machine import RESULTS, machine, save
from contracts.catalogue import Item
from contracts.ids import ItemId, UserId
from training.data.batch_source import BatchSource, InMemory, targets_of
from training.data.collate import Epoch
from training.data.sequences import UserSequence
from training.data.shard_files import ShardSizes, write_shards
from training.data.shards import ParquetShards
from training.model.content import ContentShape, ContentTable, ItemContent
from training.model.fusion import FusionConfig, FusionTransformer
from training.model.vocabulary import Vocabulary
from training.optimizer import clip, make_optimizer
from training.tower_step import TowerStep

BATCH = 64
HORIZON = 4
TEXT_WIDTH = 256
WIDTH = 64


@dataclass(frozen=True)
class Rate:
    """What came out, or went in, and how long it took."""

    batches: int
    targets: int
    seconds: float

    def as_json(self) -> dict[str, float]:
        """Figures a second."""
        return {"batches_per_s": self.batches / self.seconds, "targets_per_s": self.targets / self.seconds}


def made_up(count: int, items: int, seed: int) -> list[UserSequence]:
    """Users with a median of 12 interactions and some with hundreds."""
    rng = np.random.default_rng(seed)
    lengths = np.clip(rng.lognormal(np.log(12), 1.0, count).astype(np.int64), 2, 2000)
    users = []
    for number, length in enumerate(lengths.tolist()):
        touched = np.minimum(rng.zipf(1.3, length) - 1, items - 1)
        fresh = np.zeros(length, dtype=np.bool_)
        fresh[np.unique(touched, return_index=True)[1]] = True
        times_ms = 1_700_000_000_000 + np.cumsum(rng.exponential(3.6e6, length)).astype(np.int64)
        users.append(UserSequence(UserId(f"u{number}"), touched, rng.integers(0, 5, length), times_ms, fresh))
    return users


def supplied(source: BatchSource, number: int) -> Rate:
    """One epoch with nothing that uses it."""
    started = time.perf_counter()
    batches = targets = 0
    for batch in source.batches(BATCH, HORIZON, Epoch(7, number)):
        batches += 1
        targets += targets_of(batch)
    return Rate(batches, targets, time.perf_counter() - started)


def step_of(items: int, seed: int) -> Callable[[Any], None]:
    """A whole step of training: loss, gradients, clipping, Adam."""
    torch.manual_seed(seed)
    vocabulary = Vocabulary(ItemId(f"i{number}") for number in range(items))
    table = ContentTable(ContentShape(TEXT_WIDTH, 0, items), vocabulary)
    vectors = np.random.default_rng(seed).normal(size=(items, TEXT_WIDTH)).astype(np.float32)
    table.put(
        ItemContent(Item(item_id=item_id, title=str(item_id)), vector, None)
        for item_id, vector in zip(vocabulary.ids, vectors, strict=True)
    )
    step = TowerStep(FusionTransformer(FusionConfig(table.shape, WIDTH)), table)
    optimizer = make_optimizer(step, 1e-3)

    def descend(batch: Any) -> None:
        optimizer.zero_grad(set_to_none=True)
        step(batch).backward()
        clip(optimizer)
        optimizer.step()

    return descend


def used(source: BatchSource, descend: Callable[[Any], None], count: int) -> Iterator[Rate]:
    """Each of `count` steps, after three that warm up; the time of making its batch is not counted."""
    for number, batch in enumerate(source.batches(BATCH, HORIZON, Epoch(7, 0))):
        if number == count + 3:
            return
        started = time.perf_counter()
        descend(batch)
        if number >= 3:
            print(f"\rstep {number - 2} of {count}", end="", flush=True)
            yield Rate(1, targets_of(batch), time.perf_counter() - started)


def main() -> None:
    """Measures, prints and keeps."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--users", type=int, default=20_000)
    arguments.add_argument("--items", type=int, default=10_000)
    arguments.add_argument("--epochs", type=int, default=3)
    arguments.add_argument("--steps", type=int, default=30)
    arguments.add_argument("--save", action="store_true")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    on = machine()
    users = made_up(given.users, given.items, seed=3)
    interactions = sum(map(len, users))
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        manifest = write_shards(Path(folder), users, ShardSizes(), seed=7)
        written_s = time.perf_counter() - started
        size = sum(shard.bytes for shard in manifest.shards)
        shards, memory = ParquetShards(Path(folder)), InMemory(users)
        rates = {
            "shards, first epoch (with SHA-256)": [supplied(shards, 0)],
            "shards": [supplied(shards, number) for number in range(1, given.epochs + 1)],
            "memory": [supplied(memory, number) for number in range(1, given.epochs + 1)],
            "training step": list(used(shards, step_of(given.items, seed=7), given.steps)),
        }
        print()
    figures = {
        name: {
            key: {"median": statistics.median(values), "lowest": min(values), "highest": max(values), "n": len(values)}
            for key in ("batches_per_s", "targets_per_s")
            for values in [[rate.as_json()[key] for rate in each]]
        }
        for name, each in rates.items()
    }
    ratio = figures["shards"]["targets_per_s"]["median"] / figures["training step"]["targets_per_s"]["median"]
    command = (
        f"python -m benchmarks.input_throughput --users {given.users} --items {given.items} "
        f"--epochs {given.epochs} --steps {given.steps} --save"
    )
    lines = [
        "# Batches from shards beside what training uses",
        "",
        f"`{command}`, {on['processor']}, {on['cores']} cores (load {on['load_before']:.1f} before), Python "
        f"{on['python']}, {on['at']}.",
        "",
        f"{given.users:,} users, {interactions:,} interactions, {given.items:,} items; {len(manifest.shards)} shards, "
        f"{size / interactions:.1f} bytes an interaction, written in {written_s:.1f} s. Batches of {BATCH} windows' "
        f"positions, width {WIDTH}, one thread each.",
        "",
        "| | batches/s, median (lowest to highest, n) | targets/s |",
        "|---|---|---|",
    ]
    for name, each in figures.items():
        cells = [
            f"{one['median']:,.1f} ({one['lowest']:,.1f} to {one['highest']:,.1f}, {one['n']})" for one in each.values()
        ]
        lines.append(f"| {name} | {cells[0]} | {cells[1]} |")
    lines += ["", f"The shards give {ratio:.1f} times the targets that a step on one thread uses."]
    report = "\n".join(lines) + "\n"
    print(report)
    if given.save:
        (RESULTS / "input_throughput.md").write_text(report)
        result = {"command": command, "machine": on, "figures": figures, "ratio": ratio}
        print("saved:", save("input_throughput", result))


if __name__ == "__main__":
    main()
