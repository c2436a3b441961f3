"""From rankings to an evaluation: metrics by user, means, paired intervals, slices. U users, P targets, N items."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from training.evaluation import metrics
from training.evaluation.intervals import bootstrap_interval
from training.evaluation.ranking import Ranking, Reals, joined
from training.evaluation.report import Evaluation, Scores
from training.evaluation.slices import Flags, SliceScores, scores_of, slice_scores

MODEL = "model"


@dataclass(frozen=True)
class Tested:
    """The rankings of one split (fold), user for user the same for every ranker.

    Attributes:
        rankings: By ranker, one a run (seed).
        newcomers: The same for the targets that nobody had touched before; empty where there are none.
        flags: (P,) of each slice.
        counts: (N,) interactions of each item in what was learned.
    """

    rankings: Mapping[str, Sequence[Ranking]]
    newcomers: Mapping[str, Sequence[Ranking]]
    flags: Mapping[str, Flags]
    counts: Reals


@dataclass(frozen=True)
class Described:
    """What the tables say of an evaluation beside its figures.

    Attributes:
        protocol: As `Evaluation`.
        without_history: As `Evaluation`.
        own: Rankers of the model itself, which get no interval of the model's lead.
        remarks: As `Evaluation`.
        curve: As `Evaluation`.
    """

    protocol: str
    without_history: bool
    own: frozenset[str] = frozenset((MODEL,))
    remarks: tuple[str, ...] = ()
    curve: dict[str, tuple[float, ...]] | None = None


def compare(tests: Sequence[Tested], described: Described, seed: int) -> Evaluation:
    """The evaluation of all folds together.

    Args:
        tests: One a fold; each user is in one of them.
        described: What goes beside the figures.
        seed: Of the bootstrap.
    """
    rng = np.random.default_rng(seed)
    counts = np.mean([test.counts for test in tests], axis=0)  # (N,)
    flags = {name: np.concatenate([test.flags[name] for test in tests]) for name in tests[0].flags}
    runs = {name: _runs([test.rankings[name] for test in tests]) for name in tests[0].rankings}
    newcomers = {name: _runs([test.newcomers[name] for test in tests]) for name in tests[0].newcomers}
    quality = {name: np.mean([metrics.ndcg(run, 10) for run in each], axis=0) for name, each in runs.items()}  # (U,)
    rows = {}
    for name, each in runs.items():
        above = None if name in described.own else bootstrap_interval(quality[MODEL] - quality[name], rng)
        rows[name] = Scores(
            figures=_mean([figures(run, counts) for run in each]),
            interval=bootstrap_interval(quality[name], rng),
            model_above=above,
            slices=_slices(each, flags, newcomers.get(name, ())),
            runs=tuple(float(metrics.ndcg(run, 10).mean()) for run in each),
            reliability=_reliability(each[0]),
        )
    first = runs[MODEL][0]
    return Evaluation(
        protocol=described.protocol,
        users=len(first.targets),
        items=len(counts),
        without_history=described.without_history,
        targets_per_user=float(first.targets.mean()),
        rankers=rows,
        beats_all=all(
            rows[MODEL].ndcg_at_10 > row.ndcg_at_10 for name, row in rows.items() if name not in described.own
        ),
        remarks=described.remarks,
        curve=described.curve,
    )


def figures(ranking: Ranking, counts: Reals) -> dict[str, float]:
    """All metrics of one ranking by name; those of probabilities only where scores were logits."""
    by_user = {
        "ndcg_at_10": metrics.ndcg(ranking, 10),
        "ndcg_at_20": metrics.ndcg(ranking, 20),
        "recall_at_10": metrics.recall(ranking, 10),
        "recall_at_20": metrics.recall(ranking, 20),
        "recall_at_100": metrics.recall(ranking, 100),
        "precision_at_10": metrics.precision(ranking, 10),
        "hit_at_20": metrics.hit(ranking, 20),
        "mrr_at_20": metrics.reciprocal_rank(ranking, 20),
        "mrr": metrics.reciprocal_rank(ranking),
        "auc": metrics.auc(ranking),
    }
    made = {name: float(values.mean()) for name, values in by_user.items()}
    made["coverage_at_10"] = metrics.coverage(ranking, 10, len(counts))
    made["novelty_at_10"] = metrics.novelty(ranking, 10, counts)
    if ranking.log_probability is not None and ranking.confidence is not None:
        made["log_loss"] = float(-ranking.log_probability.mean())
        made["calibration_error"] = metrics.calibration_error(ranking.confidence, first_is_right(ranking))
    return made


def first_is_right(ranking: Ranking) -> Flags:
    """(U,) whether the first item is a target."""
    return metrics.hit(ranking, 1) > 0


def _runs(folds: Sequence[Sequence[Ranking]]) -> list[Ranking]:
    return [joined(parts) for parts in zip(*folds, strict=True)]


def _mean(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _slices(
    runs: Sequence[Ranking], flags: Mapping[str, Flags], newcomers: Sequence[Ranking]
) -> dict[str, SliceScores]:
    each = [slice_scores(run, dict(flags)) for run in runs]
    if newcomers:
        each = [row | {"new items": scores_of(run)} for row, run in zip(each, newcomers, strict=True)]
    return {
        name: SliceScores(
            each[0][name].users,
            each[0][name].targets,
            float(np.mean([row[name].ndcg_at_10 for row in each])),
            float(np.mean([row[name].recall_at_20 for row in each])),
        )
        for name in each[0]
    }


def _reliability(ranking: Ranking) -> tuple[tuple[float, float, int], ...]:
    if ranking.confidence is None:
        return ()
    return tuple(metrics.reliability(ranking.confidence, first_is_right(ranking)))
