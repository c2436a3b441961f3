"""An evaluation as Markdown: what was done, the rankers, their slices, what probabilities are worth, the verdict."""

from collections.abc import Sequence

from training.evaluation.report import Evaluation, Scores

COLUMNS = {
    "ndcg_at_10": "NDCG@10",
    "recall_at_10": "recall@10",
    "recall_at_20": "recall@20",
    "hit_at_20": "hit@20",
    "mrr_at_20": "MRR@20",
    "auc": "AUC",
    "coverage_at_10": "coverage@10",
    "novelty_at_10": "novelty@10 (bits)",
}
"""Columns of the table of rankers; JSON has every metric."""


def markdown(evaluation: Evaluation) -> str:
    """The whole report."""
    sections = [
        [description(evaluation)],
        *([[f"- {remark}" for remark in evaluation.remarks]] if evaluation.remarks else []),
        _rankers(evaluation),
        [verdict(evaluation)],
        _runs(evaluation),
        _slices(evaluation),
        _probabilities(evaluation),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def description(evaluation: Evaluation) -> str:
    """What was ranked for whom."""
    history = (
        "those of the user's history are in no ranking"
        if evaluation.without_history
        else "those of the session so far stay in the ranking"
    )
    return (
        f"Protocol: {evaluation.protocol}. {evaluation.users} users or prefixes, {evaluation.targets_per_user:.1f} "
        f"targets each; all {evaluation.items} items ranked, none sampled; {history}. Ties count against the ranker."
    )


def verdict(evaluation: Evaluation) -> str:
    """Whether the model is ahead, and whether that is sure."""
    if not evaluation.beats_all:
        return "The model does NOT beat every baseline."
    clear = all(row.model_above is None or row.model_above[0] > 0 for row in evaluation.rankers.values())
    return "The model beats every baseline. " + (
        "The intervals exclude zero." if clear else "Not every interval excludes zero."
    )


def _rankers(evaluation: Evaluation) -> list[str]:
    rows = [
        [
            name,
            *(f"{row.figures[column]:.4f}" for column in COLUMNS),
            f"{row.interval[0]:.4f} to {row.interval[1]:.4f}",
            "" if row.model_above is None else f"{row.model_above[0]:+.4f} to {row.model_above[1]:+.4f}",
        ]
        for name, row in evaluation.rankers.items()
    ]
    return _table(["ranker", *COLUMNS.values(), "NDCG@10, 95 %", "model above it by (95 %)"], rows)


def _runs(evaluation: Evaluation) -> list[str]:
    return [
        f"`{name}` is the mean of {len(row.runs)} seeds, NDCG@10 of each: "
        + ", ".join(f"{figure:.4f}" for figure in row.runs)
        + "."
        for name, row in evaluation.rankers.items()
        if len(row.runs) > 1
    ]


def _slices(evaluation: Evaluation) -> list[str]:
    names = evaluation.rankers["model"].slices
    if not names:
        return []
    rows = [
        [
            f"{name} ({sizes.users} users, {sizes.targets} targets)",
            *(_pair(row, name) for row in evaluation.rankers.values()),
        ]
        for name, sizes in names.items()
    ]
    return _table(["slice: NDCG@10 / recall@20", *evaluation.rankers], rows)


def _pair(row: Scores, name: str) -> str:
    scores = row.slices[name]
    return f"{scores.ndcg_at_10:.4f} / {scores.recall_at_20:.4f}"


def _probabilities(evaluation: Evaluation) -> list[str]:
    rows = [
        [name, f"{row.figures['log_loss']:.4f}", f"{row.figures['calibration_error']:.4f}"]
        for name, row in evaluation.rankers.items()
        if "log_loss" in row.figures
    ]
    return _table(["ranker", "log loss of a target (nats)", "calibration error of the first item"], rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows)]
