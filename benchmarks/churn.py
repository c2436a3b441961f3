"""Churn on Online Retail, no purchase in the next 90 days: `python -m benchmarks.churn --save`.

The last cut with 90 days after it is the test, measured once; head and towers know only what happened before the labels
of the cuts that they learn from. Whether the tower is tuned is chosen at an earlier cut. U users.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from benchmarks.machine import RESULTS, machine, save
from benchmarks.retail import FILE, load
from contracts.clock import from_ms
from contracts.settings import settings
from millstream.studies import plan_of
from training.churn_training import train_churn
from training.data.archive_set import TrainingSet
from training.data.churn_rows import HORIZON, ChurnRows, churn_rows, training_cuts
from training.evaluation.intervals import bootstrap_interval
from training.evaluation.metrics import calibration_error
from training.probabilities import auc, log_losses
from training.snapshot import Snapshot
from training.tower_fit import fit_everything

HORIZON_MS = round(HORIZON.total_seconds() * 1000)
ROUNDS = 1000
Floats = NDArray[np.float64]


def logistic_regression(features: Floats, outcomes: Floats, ridge: float = 1.0) -> Callable[[Floats], Floats]:
    """Ridge logistic regression by Newton's method (Hastie et al. 2009, eq. 4.26) on standardised features (R, F)."""
    mean, deviation = features.mean(0), features.std(0) + 1e-9

    def design(raw: Floats) -> Floats:
        return np.column_stack([np.ones(len(raw)), (raw - mean) / deviation])

    x = design(features)
    weights, penalty = np.zeros(x.shape[1]), np.diag([0.0, *[ridge] * features.shape[1]])
    for _ in range(50):
        fitted = 1 / (1 + np.exp(-x @ weights))
        gradient = x.T @ (fitted - outcomes) + penalty @ weights
        curve = (x * (fitted * (1 - fitted))[:, None]).T @ x + penalty
        step = np.linalg.solve(curve, gradient)
        weights = weights - step
        if np.abs(step).max() < 1e-8:
            break
    return lambda raw: 1 / (1 + np.exp(-design(raw) @ weights))


def recency_frequency_value(lines: pd.DataFrame, cuts_ms: list[int], rows: ChurnRows) -> Floats:
    """Log of days since the last purchase, of purchase days and of money spent, (R, 3), in the order of the rows."""
    parts = []
    for cut_ms in cuts_ms:
        before = lines[lines.at_ms < cut_ms]
        spent = (before.quantity * before.price_cents).groupby(before.user).sum() / 100
        days = (before.at_ms // 86_400_000).groupby(before.user).nunique()
        since = (cut_ms - before.groupby("user").at_ms.max()) / 86_400_000
        parts.append(pd.DataFrame({"cut": cut_ms, "since": since, "days": days, "spent": spent}))
    table = pd.concat(parts).set_index("cut", append=True)
    sizes = [int((lines.at_ms < cut).groupby(lines.user).any().sum()) for cut in cuts_ms]
    cut_of_row = np.repeat(cuts_ms, sizes)
    return np.log1p(table.loc[list(zip(rows.users, cut_of_row, strict=True))].to_numpy(dtype=np.float64))


def judged(probabilities: Floats, gone: NDArray[np.bool_], reference: Floats, seed: int) -> dict[str, Any]:
    """Figures with 95 % bootstrap intervals, and log loss and AUC against the reference's (positive is better)."""
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, len(gone), size=(ROUNDS, len(gone)))
    areas = np.array([(auc(probabilities[draw], gone[draw]), auc(reference[draw], gone[draw])) for draw in draws])
    errors = [calibration_error(probabilities[draw], gone[draw]) for draw in draws]
    losses, others = log_losses(probabilities, gone), log_losses(reference, gone)

    def interval(values: Any) -> list[float]:
        return [float(value) for value in np.quantile(values, [0.025, 0.975])]

    return {
        "auc": auc(probabilities, gone), "auc_interval": interval(areas[:, 0]),
        "auc_above": interval(areas[:, 0] - areas[:, 1]),
        "log_loss": float(losses.mean()), "log_loss_interval": list(bootstrap_interval(losses, rng)),
        "log_loss_better": list(bootstrap_interval(others - losses, rng)),
        "calibration_error": calibration_error(probabilities, gone), "calibration_interval": interval(errors),
    }  # fmt: skip


def towers_before(whole: TrainingSet, cut_ms: int, seed: int) -> Snapshot:
    """Towers on what precedes a cut, with the vectors of all items."""
    learned = whole.before(cut_ms).with_own_ids()
    fitted = fit_everything(learned, plan_of(settings(), seed), lambda what, share: None)
    return Snapshot.of(fitted.model, learned.table)


def run(seeds: list[int], scratch: Path) -> dict[str, Any]:
    """Chooses at the earlier cut, measures at the last one."""
    torch.set_num_threads(1)
    retail = load(scratch)
    whole = retail.training_set
    test_ms = whole.data_to_ms - HORIZON_MS
    choice_ms = test_ms - HORIZON_MS
    at_choice = churn_rows(whole.users, [choice_ms])
    gone = at_choice.gone.numpy() > 0
    cuts = training_cuts(whole.data_from_ms, choice_ms)
    learned, towers = churn_rows(whole.users, cuts), towers_before(whole, cuts[0], seeds[0])
    chosen: dict[str, float] = {}
    for name in ("frozen", "tuned"):
        model = train_churn(towers.model, towers.vectors, learned, seeds[0], tune_towers=name == "tuned")
        chosen[name] = float(log_losses(model.probabilities(at_choice), gone).mean())
        print(f"choice cut: {name} {chosen[name]:.4f}, {model.epochs} epochs", flush=True)
    best = min(chosen, key=lambda name: chosen[name])
    rows = churn_rows(whole.users, [test_ms])
    gone = rows.gone.numpy() > 0
    given: dict[str, list[Floats]] = {"churn head": [], "churn head, not calibrated": []}
    cuts = training_cuts(whole.data_from_ms, test_ms)
    learned = churn_rows(whole.users, cuts)
    for seed in seeds:
        towers = towers_before(whole, cuts[0], seed)
        model = train_churn(towers.model, towers.vectors, learned, seed, tune_towers=best == "tuned")
        given["churn head"].append(model.probabilities(rows))
        given["churn head, not calibrated"].append(model.probabilities(rows, calibrated=False))
    outcomes = learned.gone.numpy().astype(np.float64)
    rfm = logistic_regression(recency_frequency_value(retail.lines, cuts, learned), outcomes)
    numbers = logistic_regression(learned.recency.numpy().astype(np.float64), outcomes)
    others = {
        "logistic regression on recency, frequency, value": rfm(recency_frequency_value(retail.lines, [test_ms], rows)),
        "logistic regression on the head's recency numbers": numbers(rows.recency.numpy().astype(np.float64)),
        "base rate": np.full(len(gone), outcomes.mean()),
    }
    reference = others["logistic regression on recency, frequency, value"]
    table = {name: _mean([judged(each, gone, reference, 0) for each in every]) for name, every in given.items()}
    table |= {name: judged(each, gone, reference, 0) for name, each in others.items()}
    return {
        "test_cut": from_ms(test_ms).isoformat(), "training_cuts": [from_ms(cut).isoformat() for cut in cuts],
        "users": len(gone), "gone": float(gone.mean()), "gone_in_training": float(outcomes.mean()),
        "training_rows": len(outcomes), "seeds": seeds, "log_loss_at_choice_cut": chosen, "tower": best, "table": table,
    }  # fmt: skip


def _mean(results: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: np.mean([result[name] for result in results], axis=0).tolist() for name in results[0]}


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    lines = [
        "# Churn on Online Retail: no purchase in the next 90 days",
        "",
        f"`python -m benchmarks.churn --save`. Test cut {result['test_cut'][:10]}: {result['users']} customers who had "
        f"bought before it, {result['gone']:.1%} of them gone. Learned from {result['training_rows']} rows of the cuts "
        f"{', '.join(cut[:10] for cut in result['training_cuts'])}, whose labels end at the test cut "
        f"({result['gone_in_training']:.1%} gone). Tower: {result['tower']}, chosen by log loss at an earlier cut "
        f"({', '.join(f'{name} {loss:.4f}' for name, loss in result['log_loss_at_choice_cut'].items())}). "
        f"Mean of seeds {result['seeds']}; 95 % bootstrap intervals over users; differences are to the logistic "
        "regression on recency, frequency and value, above zero is better.",
        "",
        "| | AUC | AUC above | log loss | log loss better by | calibration error |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in result["table"].items():
        lines.append(
            f"| {name} | {row['auc']:.4f} ({_span(row['auc_interval'])}) | {_span(row['auc_above'], '+')} "
            f"| {row['log_loss']:.4f} ({_span(row['log_loss_interval'])}) | {_span(row['log_loss_better'], '+')} "
            f"| {row['calibration_error']:.4f} ({_span(row['calibration_interval'])}) |"
        )
    on = result["machine"]
    return "\n".join(
        [*lines, "", f"{on['processor']}, {on['cores']} cores, {on['at']}, {result['seconds']:.0f} s.", ""]
    )


def _span(pair: list[float], sign: str = "") -> str:
    return f"{pair[0]:{sign}.4f} to {pair[1]:{sign}.4f}"


def main() -> None:
    """Measures and prints."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seeds", type=int, nargs="+", default=[7, 8, 9])
    arguments.add_argument("--scratch", type=Path, default=Path("build/churn"))
    arguments.add_argument("--save", action="store_true")
    given = arguments.parse_args()
    on, started = machine(), time.perf_counter()
    result = {"machine": on, "file": FILE.name} | run(given.seeds, given.scratch)
    result["seconds"] = time.perf_counter() - started
    print(markdown(result))
    if given.save:
        (RESULTS / "churn.md").write_text(markdown(result))
        print("saved:", save("churn", result))
    else:
        print(json.dumps(result["log_loss_at_choice_cut"]))


if __name__ == "__main__":
    main()
