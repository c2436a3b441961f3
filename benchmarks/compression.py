"""What smaller forms of a model cost and gain: `python -m benchmarks.compression --save`.

One model is trained on Amazon Beauty (behaviour alone, leave-one-out) as a study trains it but for fewer epochs; all
variants of `training/compression/variants.py` are made of it and ranked for the same users. Latency is one user's
vector at 50 interactions on one thread; the variants are timed in turns, and their times divided by torch's. "Made in
ms" is from new weights to an engine ready to serve them, and "a version costs" adds the vectors of 60 users: 20 a
second, and a version of the learner every 3 s.
"""

import argparse
import json
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from benchmarks.machine import RESULTS, machine, spread
from benchmarks.quality_sets import SETS
from contracts.features import HISTORY_LENGTH
from contracts.settings import settings
from millstream.studies import encoders_of, plan_of, study_of
from training.compression.table import Row, as_figures, as_markdown, default_of, latencies, making_s, quality
from training.compression.variants import FORMS, TRAINED, Form, Source, Variant, variant_of, weights_of
from training.evaluation.protocol import Split
from training.loop import Progress
from training.model.fusion import FusionConfig, FusionTransformer
from training.snapshot import Snapshot
from training.studies import load, split
from training.tower_fit import FitPlan, fit_towers

STUDENT_WIDTH, STUDENT_LAYERS, STUDENT_HEADS = 32, 1, 2
THREADS = 4
TURNS = 5
TURN_S = 1.0


def progress_of(what: str) -> Progress:
    """A progress bar of one line."""

    def told(part: str, share: float) -> None:
        print(f"\r{what}: {share:4.0%} {part:<40}", end="\n" if share >= 1.0 else "", flush=True)

    return told


def beauty(folder: Path) -> tuple[Split, FitPlan]:
    """The split, and the plan of a study of it."""
    made = SETS["beauty"](folder)
    asked = {"events": str(made.events), "protocol": made.protocol, "output": str(folder / "output"), "seeds": 1}
    given = settings()
    study, plan = study_of(asked, given), plan_of(given)
    files = load(study, encoders_of(given), lambda what, share: None)
    return split(study, files, plan.worker.seed)[0], plan


def source_of(made: Split, plan: FitPlan, epochs: int) -> Source:
    """The trained model and the sizes of its students."""
    few = replace(plan, loop=replace(plan.loop, epochs=epochs), without_history=made.without_history, newer=None)
    model = fit_towers(made.training, made.validation, few, progress_of("teacher"))
    student = FusionConfig(made.training.table.shape, STUDENT_WIDTH, STUDENT_LAYERS, STUDENT_HEADS)
    return Source(model, made, few.loop, few.worker, student)


def rows_of(source: Source) -> tuple[list[Row], dict[str, float]]:
    """The table's rows, and seconds that each weights' training took."""
    weights: dict[str, FusionTransformer] = {}
    trained_s: dict[str, float] = {}
    for name in dict.fromkeys(form.weights for form in FORMS):
        started = time.perf_counter()
        weights[name] = weights_of(name, source, progress_of(name))
        trained_s[name] = time.perf_counter() - started
    table, asked = source.split.training.table, source.split
    variants = {form: variant_of(form, weights[form.weights], table) for form in FORMS}
    print("timing", flush=True)
    times = latencies(variants)
    rows = []
    for form, variant in variants.items():
        print(f"ranking: {form.name}", flush=True)
        judged = quality(variant, asked.test, asked.without_history)
        rows.append(Row(form, variant, judged, times[form], making_s(form, variant)))
    return rows, trained_s


def encoded_a_second(variant: Variant) -> float:
    """User vectors a second of several threads together: what the interpreter's lock leaves of the engine's speed."""
    rng = np.random.default_rng(0)
    shape = (1, HISTORY_LENGTH)
    items, rows, lengths = variant.items[rng.integers(0, 1000, shape)], np.ones(shape, np.int64), np.array([shape[1]])
    counts = [0] * THREADS
    until = time.perf_counter() + TURN_S

    def encode(thread: int) -> None:
        while time.perf_counter() < until:
            variant.encoder.encode(items, rows, rows, lengths)
            counts[thread] += 1

    threads = [threading.Thread(target=encode, args=(thread,)) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / TURN_S


def items_a_second(model: FusionTransformer, source: Source) -> float:
    """Items that the item tower encodes a second, on one thread; the median of a few."""
    table = source.split.training.table
    times = []
    for _ in range(TURNS):
        started = time.perf_counter()
        Snapshot.of(model, table)
        times.append(time.perf_counter() - started)
    return len(table.vocabulary) / float(np.median(times))


def even_after(row: Row, other: Row) -> float:
    """User vectors a version after which a variant that costs more to make has cost as little as another."""
    return (row.made_s - other.made_s) * 1000.0 / (other.latency.p50_ms - row.latency.p50_ms)


def remarks_on(rows: list[Row], source: Source, trained_s: dict[str, float]) -> list[str]:
    """What the table does not say."""
    by_form = {row.form: row for row in rows}
    torch_row, onnx_row = by_form[Form(TRAINED, "torch")], by_form[Form(TRAINED, "onnx")]
    ratios = [encoded_a_second(onnx_row.variant) / encoded_a_second(torch_row.variant) for _ in range(TURNS)]
    student = by_form[Form("student", "onnx")].variant.model
    return [
        f"default: {default_of(rows).form.name}, whose versions cost least of those that keep 99 % of NDCG@10 and "
        "serve the weights that were published",
        *(
            f"{row.form.name} costs as much as {onnx_row.form.name} at {even_after(row, onnx_row):,.0f} user vectors "
            "a version"
            for row in (by_form[Form(TRAINED, "onnx file")], by_form[Form(TRAINED, "onnx int8")])
        ),
        f"user vectors a second of {THREADS} threads, onnx over torch: {spread(ratios)}",
        f"items encoded a second: trained {items_a_second(source.model, source):,.0f}, "
        f"student {items_a_second(student, source):,.0f}",
        "seconds of training: "
        + ", ".join(f"{name} {seconds:.0f}" for name, seconds in trained_s.items() if seconds > 1),
    ]


def main() -> None:
    """Trains, makes, measures; keeps the result by `--save`."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--epochs", type=int, default=5, help="of teacher and students, at most")
    arguments.add_argument("--save", action="store_true", help="write benchmarks/results/compression.md and .json")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    on = machine()
    with tempfile.TemporaryDirectory() as folder:
        made, plan = beauty(Path(folder))
        source = source_of(made, plan, given.epochs)
        rows, trained_s = rows_of(source)
    remarks = remarks_on(rows, source, trained_s)
    command = f"python -m benchmarks.compression --epochs {given.epochs} --save"
    text = (
        f"# Smaller forms of one model\n\n`{command}`, {on['processor']}, {on['cores']} cores (shared, load "
        f"{on['load_before']:.1f}), Python {on['python']}, torch {torch.__version__}, onnxruntime "
        f"{onnxruntime.__version__}, {on['at']}.\n\n"
        f"Amazon Beauty 2014, behaviour alone, leave-one-out: {len(made.test):,} users, all "
        f"{len(made.training.table.vocabulary):,} items ranked. Latency: one user's vector at {HISTORY_LENGTH} "
        "interactions, one thread; over torch's: median of rounds (lowest to highest). The machine was "
        "busy: read p95 as what it does under load, and compare engines by the ratios.\n\n"
        f"{as_markdown(rows, plan.worker.seed)}\n" + "\n".join(f"- {remark}" for remark in remarks) + "\n"
    )
    print(text)
    if given.save:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "compression.md").write_text(text)
        figures = {"command": command, "machine": on, "remarks": remarks, "rows": [as_figures(row) for row in rows]}
        (RESULTS / "compression.json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
