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
from training.evaluation.intervals import bootstrap_interval
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
DROPOUT = 0.5
"""Of both: what RecBole's published settings for Beauty take."""

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
    ours = FusionConfig(content=None, width=64, dropout=DROPOUT)  # type: ignore[arg-type]  # sizes alone are read
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
    model = FusionTransformer(FusionConfig(learned.table.shape, 64, dropout=DROPOUT))
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
    speed, quality = result["throughput"], result.get("quality")
    on = speed["machine"]
    return f"""# Beside SASRec of RecBole 1.2.1

`python -m benchmarks.recbole_sasrec --save`, {on["processor"]}, {on["cores"]} cores, one thread, Python {on["python"]},
{on["at"]}.

Amazon Beauty, leave-one-out, all items ranked. Width 64, 2 layers, 4 heads, history of {HISTORY_LENGTH}, dropout .5 for
throughput on both sides; RecBole with its full softmax (CE) and 2,048 prefixes a batch, ours with the sampled softmax
that it takes for a catalogue of this size.

| | targets a second, median of {len(speed["ratio"])} runs (lowest to highest) | an epoch |
|---|---|---|
| Millstream | {_spread(speed["rates"]["ours"])} | {speed["epoch_s"]["ours"]:.0f} s |
| RecBole | {_spread(speed["rates"]["recbole"])} | {speed["epoch_s"]["recbole"]:.0f} s |
| ratio | {_spread(speed["ratio"], ".1f")} | |
{_quality(quality) if quality else ""}"""


def _quality(quality: dict[str, Any]) -> str:
    own = json.loads((RESULTS / "quality_beauty.json").read_text())["evaluation"]["rankers"]["model"]
    ours = own["figures"]["ndcg_at_10"], *own["interval"]
    theirs = quality["ndcg_at_10"]
    ended = "no longer rising" if quality["ended_by_itself"] else "time was up, still rising"
    return f"""
| | NDCG@10 (95 %) | recall@10 | trained |
|---|---|---|---|
| Millstream (`quality_beauty.md`) | {_between(*ours)} | {own["figures"]["recall_at_10"]:.4f} | width 128, to the end |
| RecBole | {_between(theirs["mean"], theirs["low"], theirs["high"])} | {quality["recall_at_10"]["mean"]:.4f} | \
{quality["epochs"]} epochs in {quality["seconds"] / 60:.0f} minutes of one thread beside other work, \
`--runs 0 --minutes {quality["asked_minutes"]:g}`: {ended} |

Items that a user had touched are in neither ranking. Validation NDCG@10 of RecBole by epoch:
{", ".join(f"{figure:.4f}" for figure in quality["curve"])}.
"""


def _between(mean: float, low: float, high: float) -> str:
    return f"{mean:.4f} ({low:.4f} to {high:.4f})"


def judged(found: dict[str, Any]) -> dict[str, Any]:
    """The peer's ranks as figures with their intervals."""
    places = np.array(found.pop("ranks"))
    inside = places <= 10
    return found | {
        "ndcg_at_10": _figure(np.where(inside, 1 / np.log2(places + 1), 0.0)),
        "recall_at_10": _figure(inside.astype(np.float64)),
    }


def _figure(values: np.ndarray) -> dict[str, float]:
    low, high = bootstrap_interval(values, np.random.default_rng(0))
    return {"mean": float(values.mean()), "low": low, "high": high}


def _spread(values: list[float], form: str = ",.0f") -> str:
    return f"{np.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def throughput(part: Split, python: Path, folder: Path, steps: int, runs: int) -> dict[str, Any]:
    """Targets a second of both, run by run."""
    every: dict[str, list[dict[str, float]]] = {"ours": [], "recbole": []}
    for run in range(runs):
        every["ours"].append(ours(part, 4 * steps, run))
        every["recbole"].append(recbole(python, folder, "--steps", str(steps)))
        print(run + 1, {name: each[-1] for name, each in every.items()}, flush=True)
    rates = {name: [each["targets"] / each["seconds"] for each in runs] for name, runs in every.items()}
    return {
        "machine": machine(),
        "rates": rates,
        "ratio": [a / b for a, b in zip(rates["ours"], rates["recbole"], strict=True)],
        "epoch_s": {
            "ours": every["ours"][0]["targets_an_epoch"] / float(np.median(rates["ours"])),
            "recbole": every["recbole"][0]["rows_an_epoch"] / float(np.median(rates["recbole"])),
        },
    }


def main() -> None:
    """Measures what is asked for, keeps what was measured before of the rest, and prints."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--environment", type=Path, default=CACHE / "venv")
    arguments.add_argument("--steps", type=int, default=12, help="RecBole's timed steps a run; ours: four times")
    arguments.add_argument("--runs", type=int, default=3, help="of the throughput; 0: as saved before")
    arguments.add_argument("--minutes", type=float, default=12.0, help="of RecBole's training; 0: as saved before")
    arguments.add_argument("--save", action="store_true")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    folder = CACHE / "data"
    write_atomic(folder)
    python = environment(given.environment)
    kept = RESULTS / "recbole_sasrec.json"
    result: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    if given.runs:
        result["throughput"] = throughput(beauty(folder), python, folder, given.steps, given.runs)
    if given.minutes:
        result["quality"] = judged(recbole(python, folder, "--minutes", str(given.minutes)))
        result["quality"] |= {"machine": machine(), "asked_minutes": given.minutes}
    print(markdown(result))
    if given.save:
        save("recbole_sasrec", result)
        (RESULTS / "recbole_sasrec.md").write_text(markdown(result))


if __name__ == "__main__":
    main()
