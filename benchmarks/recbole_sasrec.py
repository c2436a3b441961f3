"""Beside SASRec of RecBole, on Amazon Beauty: `python -m benchmarks.recbole_sasrec --save`.

RecBole lives in an environment of its own, which the first run makes. Both learn the same interactions, leave-one-out,
at the same width, depth, heads, history and dropout, on one thread; runs alternate. A target is one next item that a
step learns to foresee: RecBole makes a row of every prefix, we learn all prefixes of a window at once.
"""

import argparse
import csv
import gzip
import json
import os
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.machine import RESULTS, machine, save
from benchmarks.quality_sets import SETS, SHARED
from contracts.features import HISTORY_LENGTH
from contracts.settings import settings
from millstream.studies import encoders_of, study_of
from training.data.collate import Epoch, batches
from training.data.sequences import item_shares
from training.evaluation.protocol import Split
from training.model.fusion import FusionConfig, FusionTransformer
from training.optimizer import clip, make_optimizer
from training.studies import load, split
from training.tower_step import LossConfig, TowerStep

CACHE = Path(__file__).resolve().parents[1] / ".millstream-cache" / "recbole"
PACKAGES = (
    "numpy<2", "scipy<1.13", "pandas<2.3", "setuptools<81", "tensorboard", "tqdm", "colorlog", "colorama", "pyyaml",
    "scikit-learn", "tabulate", "texttable", "thop", "psutil",
)  # fmt: skip
"""What SASRec needs of RecBole's long list; newer ones of some have dropped what it imports."""

NAME = "beauty"
BATCH = 40
"""Windows of full length a step of ours, as a study takes."""


def environment(folder: Path) -> Path:
    """The Python of RecBole's environment, made where it is not there: some minutes, once."""
    python = folder / "bin" / "python"
    if python.exists() and (folder / "complete").exists():
        return python
    print(f"making RecBole's environment in {folder}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    for words in (("torch==2.13.0",), PACKAGES, ("--no-deps", "recbole==1.2.1")):
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *words], check=True)
    (folder / "complete").touch()
    return python


def write_atomic(folder: Path) -> None:
    """Beauty as RecBole's atomic file; the place in a user's history is its time."""
    (folder / NAME).mkdir(parents=True, exist_ok=True)
    with (
        gzip.open(SHARED / "amazon_beauty" / "Beauty.txt.gz", "rt") as lines,
        (folder / NAME / f"{NAME}.inter").open("w", newline="") as file,
    ):
        rows = csv.writer(file, delimiter="\t")
        rows.writerow(("user_id:token", "item_id:token", "timestamp:float"))
        for line in lines:
            user, *items = line.split()
            rows.writerows((user, item, place) for place, item in enumerate(items))


def recbole(python: Path, folder: Path, *words: str) -> dict[str, Any]:
    """One run of the peer."""
    runner = Path(__file__).parent / "peers" / "recbole_runner.py"
    asked = [str(python), str(runner), str(folder), NAME, *sizes(), *words]
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
    done = subprocess.run(asked, check=True, capture_output=True, text=True, cwd=folder, env=env)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def sizes() -> tuple[str, ...]:
    """The sizes of both, as the runner reads them."""
    ours = FusionConfig(content=None, width=64)  # type: ignore[arg-type]  # sizes alone are read
    return (
        "--width", str(ours.width), "--layers", str(ours.layers), "--heads", str(ours.attention_heads),
        "--dropout", str(ours.dropout), "--length", str(HISTORY_LENGTH),
    )  # fmt: skip


def beauty(folder: Path) -> Split:
    """Beauty, split as a study splits it."""
    made = SETS["beauty"](folder)
    asked = {"events": str(made.events), "protocol": made.protocol, "output": str(folder), "seeds": 1}
    study = study_of(asked, settings())
    files = load(study, encoders_of(settings()), lambda what, share: None)
    return split(study, files, 7)[0]


def ours(part: Split, steps: int, seed: int) -> dict[str, float]:
    """Targets that our step learns in a second, input and optimizer included, after two steps to warm up."""
    torch.manual_seed(seed)
    learned = part.training
    model = FusionTransformer(FusionConfig(learned.table.shape, 64))
    shares = torch.from_numpy(item_shares(learned.users, len(learned.table.vocabulary)))
    step = TowerStep(model, learned.table, LossConfig(), shares)
    optimizer = make_optimizer(step, 1e-3)
    targets, began = 0, 0.0
    for place, batch in enumerate(islice(batches(learned.users, BATCH, 1, Epoch(seed, 0)), steps + 2)):
        if place == 2:
            targets, began = 0, time.monotonic()
        optimizer.zero_grad(set_to_none=True)
        step(batch).backward()
        clip(optimizer)
        optimizer.step()
        targets += int((batch.weights > 0).sum())
    every = sum(len(user) for user in learned.users)
    return {"targets": targets, "seconds": time.monotonic() - began, "targets_an_epoch": every}


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    on, quality = result["machine"], result["quality"]
    return f"""# Beside SASRec of RecBole 1.2.1

`{result["command"]}`, {on["processor"]}, {on["cores"]} cores, one thread, Python {on["python"]}, {on["at"]}.

Amazon Beauty, leave-one-out, all items ranked. Width 64, 2 layers, 4 heads, history of {HISTORY_LENGTH}, dropout .5 for
throughput on both sides; RecBole with its full softmax (CE) and 2,048 prefixes a batch, ours with the sampled softmax
that it takes for a catalogue of this size.

| | targets a second, median of {len(result["throughput"]["ours"])} runs (lowest to highest) | an epoch |
|---|---|---|
| Millstream | {_spread(result["throughput"]["ours"])} | {result["epoch_s"]["ours"]:.0f} s |
| RecBole | {_spread(result["throughput"]["recbole"])} | {result["epoch_s"]["recbole"]:.0f} s |
| ratio | {_spread(result["ratio"], ".1f")} | |
{_quality(result) if quality else ""}"""


def _quality(result: dict[str, Any]) -> str:
    quality, own = result["quality"], result["our_quality"]
    ended = "no longer rising" if quality["ended_by_itself"] else "time was up, still rising"
    return f"""
| | NDCG@10 | recall@10 | trained |
|---|---|---|---|
| Millstream (`quality_beauty.md`) | {own["ndcg_at_10"]:.4f} | {own["recall_at_10"]:.4f} | width 128, to the end |
| RecBole | {quality["ndcg_at_10"]:.4f} | {quality["recall_at_10"]:.4f} | {quality["epochs"]} epochs in \
{quality["seconds"] / 60:.0f} minutes: {ended} |
"""


def _spread(values: list[float], form: str = ",.0f") -> str:
    return f"{np.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def main() -> None:
    """Measures and prints."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--environment", type=Path, default=CACHE / "venv")
    arguments.add_argument("--steps", type=int, default=12, help="RecBole's timed steps a run; ours: four times")
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--minutes", type=float, default=12.0, help="of RecBole's training for quality; 0: none")
    arguments.add_argument("--save", action="store_true")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    folder = CACHE / "data"
    write_atomic(folder)
    python = environment(given.environment)
    part = beauty(folder)
    every: dict[str, list[dict[str, float]]] = {"ours": [], "recbole": []}
    for run in range(given.runs):
        every["ours"].append(ours(part, 4 * given.steps, run))
        every["recbole"].append(recbole(python, folder, "--steps", str(given.steps)))
        print(run + 1, {name: each[-1] for name, each in every.items()}, flush=True)
    rates = {name: [each["targets"] / each["seconds"] for each in runs] for name, runs in every.items()}
    quality = recbole(python, folder, "--minutes", str(given.minutes)) if given.minutes else None
    own = json.loads((RESULTS / "quality_beauty.json").read_text())["evaluation"]["rankers"]["model"]["figures"]
    result = {
        "command": f"python -m benchmarks.recbole_sasrec --steps {given.steps} --runs {given.runs} "
        f"--minutes {given.minutes:g} --save",
        "machine": machine(),
        "throughput": rates,
        "ratio": [a / b for a, b in zip(rates["ours"], rates["recbole"], strict=True)],
        "epoch_s": {
            "ours": every["ours"][0]["targets_an_epoch"] / float(np.median(rates["ours"])),
            "recbole": every["recbole"][0]["rows_an_epoch"] / float(np.median(rates["recbole"])),
        },
        "quality": quality,
        "our_quality": {name: own[name] for name in ("ndcg_at_10", "recall_at_10")},
    }
    print(markdown(result))
    if given.save:
        save("recbole_sasrec", result)
        (RESULTS / "recbole_sasrec.md").write_text(markdown(result))


if __name__ == "__main__":
    main()
