"""An evaluation as pictures: rankers with their intervals, slices, reliability, training curve. One PNG each.

Drawn by matplotlib's Agg canvas without `pyplot`, which would keep every figure and look for a display.
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from training.evaluation.report import Evaluation

OWN, OTHER, EVEN = "#0b6e99", "#b8b8b8", "#d1495b"
INCHES = (8.0, 4.5)
DOTS_PER_INCH = 120


def draw(evaluation: Evaluation, directory: Path) -> list[Path]:
    """Writes the pictures that the evaluation has figures for, and gives their paths."""
    drawn = [_saved(_bars(evaluation), directory / "rankers.png")]
    if evaluation.rankers["model"].slices:
        drawn.append(_saved(_slices(evaluation), directory / "slices.png"))
    if any(row.reliability for row in evaluation.rankers.values()):
        drawn.append(_saved(_reliability(evaluation), directory / "reliability.png"))
    if evaluation.curve:
        drawn.append(_saved(_curve(evaluation), directory / "training.png"))
    return drawn


def _bars(evaluation: Evaluation) -> Figure:
    figure, axes = _empty(f"NDCG@10 with 95 % intervals, {evaluation.protocol}, {evaluation.users} users")
    rows = sorted(evaluation.rankers.items(), key=lambda pair: pair[1].ndcg_at_10)
    means = [row.ndcg_at_10 for _, row in rows]
    below = [max(0.0, row.ndcg_at_10 - row.interval[0]) for _, row in rows]
    above = [max(0.0, row.interval[1] - row.ndcg_at_10) for _, row in rows]
    colours = [OWN if row.model_above is None else OTHER for _, row in rows]
    bars = axes.barh([name for name, _ in rows], means, xerr=[below, above], color=colours, capsize=3)
    axes.bar_label(bars, labels=[f"{mean:.4f}" for mean in means], padding=6)
    axes.margins(x=0.15)
    axes.set_xlabel("NDCG@10, all items ranked")
    return figure


def _slices(evaluation: Evaluation) -> Figure:
    figure, axes = _empty("NDCG@10 by slice")
    others = [name for name, row in evaluation.rankers.items() if row.model_above is not None]
    best = max(others, key=lambda name: evaluation.rankers[name].ndcg_at_10, default=None)
    shown = ["model", *([best] if best else [])]
    slices = evaluation.rankers["model"].slices
    places = np.arange(len(slices))
    for offset, (ranker, colour) in enumerate(zip(shown, (OWN, OTHER), strict=False)):
        heights = [evaluation.rankers[ranker].slices[name].ndcg_at_10 for name in slices]
        axes.bar(places + 0.4 * offset - 0.2, heights, width=0.4, color=colour, label=ranker)
    axes.set_xticks(places, [f"{name}\n{row.targets}" for name, row in slices.items()], rotation=30, ha="right")
    axes.set_ylabel("NDCG@10")
    axes.legend(title="ranker (targets below)")
    return figure


def _reliability(evaluation: Evaluation) -> Figure:
    figure, axes = _empty("Is the first item right as often as its probability says?")
    axes.plot([0, 1], [0, 1], color=EVEN, linestyle="--", label="perfect")
    highest = 0.0
    for name, row in evaluation.rankers.items():
        if row.reliability:
            means, shares = [each[0] for each in row.reliability], [each[1] for each in row.reliability]
            axes.plot(means, shares, marker="o", label=f"{name}, error {row.figures['calibration_error']:.4f}")
            highest = max(highest, *means, *shares)
    limit = min(1.0, 1.1 * highest) or 1.0
    axes.set(xlim=(0, limit), ylim=(0, limit), xlabel="probability of the first item", ylabel="share that was right")
    axes.legend()
    return figure


def _curve(evaluation: Evaluation) -> Figure:
    figure, axes = _empty("Training")
    curves = evaluation.curve or {}
    drawn: list[Axes] = [axes, *([axes.twinx()] if len(curves) > 1 else [])]
    for place, (name, values) in enumerate(curves.items()):
        panel = drawn[min(place, 1)]
        panel.plot(range(1, len(values) + 1), values, color=(OWN, EVEN)[min(place, 1)], marker=".", label=name)
        panel.set_ylabel(name)
    axes.set_xlabel("epoch")
    return figure


def _empty(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=INCHES, dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _saved(figure: Figure, path: Path) -> Path:
    figure.savefig(path)
    return path
