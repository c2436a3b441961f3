"""Evaluation that does not flatter: one cut in time, all items ranked, the model and both baselines on the same users.

The targets of a user are the items that the user touches after the cut and had not touched before it; items touched
before are left out of every ranking, the model's and the baselines' alike. U users, N items.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contracts.clock import from_ms
from contracts.errors import NotEnoughData
from training.baselines import CoVisits, Popularity
from training.data.archive_set import TrainingSet
from training.data.sequences import UserSequence
from training.metrics import best_first, bootstrap_interval, ndcg_at, recall_at, reciprocal_rank

LEAST_USERS = 5
DEPTH = 100
Scorer = Callable[[UserSequence], NDArray[np.float32]]


@dataclass(frozen=True)
class TestUser:
    """A user with interactions on both sides of the cut."""

    __test__ = False

    history: UserSequence
    targets: frozenset[int]


@dataclass(frozen=True)
class Scores:
    """Mean metrics of one ranker, and how far the model's NDCG@10 is above it (95 % bootstrap interval)."""

    ndcg_at_10: float
    recall_at_20: float
    recall_at_100: float
    mrr: float
    model_above: tuple[float, float] | None = None


@dataclass(frozen=True)
class Evaluation:
    """One evaluation. `beats_all` says whether the model's mean NDCG@10 is above that of every baseline."""

    cut: str
    users: int
    items: int
    targets_per_user: float
    rankers: dict[str, Scores]
    beats_all: bool

    def as_json(self) -> str:
        """The evaluation as JSON."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> "Evaluation":
        """The evaluation that `as_json` gave."""
        fields = json.loads(text)
        for name, row in fields["rankers"].items():
            above = row.pop("model_above")
            fields["rankers"][name] = Scores(**row, model_above=tuple(above) if above else None)
        return cls(**fields)

    def as_markdown(self) -> str:
        """The evaluation as a table with what was done above it and the verdict below."""
        lines = [
            f"Cut at {self.cut}: {self.users} users with new items after it, {self.targets_per_user:.1f} each; "
            f"all {self.items} items ranked. Targets are items the user had not touched before; those touched "
            "before are in no ranking.",
            "",
            "| ranker | NDCG@10 | recall@20 | recall@100 | MRR | model above it by (95 %) |",
            "|---|---|---|---|---|---|",
        ]
        for name, row in self.rankers.items():
            above = "" if row.model_above is None else f"{row.model_above[0]:+.4f} to {row.model_above[1]:+.4f}"
            lines.append(
                f"| {name} | {row.ndcg_at_10:.4f} | {row.recall_at_20:.4f} | {row.recall_at_100:.4f} | {row.mrr:.4f} "
                f"| {above} |"
            )
        verdict = "The model beats every baseline." if self.beats_all else "The model does NOT beat every baseline."
        clear = all(row.model_above is None or row.model_above[0] > 0 for row in self.rankers.values())
        certainty = " The intervals exclude zero." if clear else " Not every interval excludes zero."
        return "\n".join([*lines, "", verdict + (certainty if self.beats_all else ""), ""])

    def as_metrics(self) -> dict[str, float]:
        """The figures for a version's manifest."""
        figures = {f"ndcg_at_10_{name}": row.ndcg_at_10 for name, row in self.rankers.items()}
        return figures | {"recall_at_20": self.rankers["model"].recall_at_20, "beats_baselines": float(self.beats_all)}

    def write(self, directory: Path) -> None:
        """Writes `evaluation.json` and `evaluation.md`."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "evaluation.json").write_text(self.as_json())
        (directory / "evaluation.md").write_text(self.as_markdown())


def split_users(training_set: TrainingSet, cut_ms: int, least: int = LEAST_USERS) -> list[TestUser]:
    """The users to test on.

    Raises:
        NotEnoughData: fewer than `least` users touch anything new after the cut.
    """
    users = []
    for user in training_set.users:
        history = user.before(cut_ms)
        targets = frozenset(user.items[len(history) :].tolist()) - frozenset(history.items.tolist())
        if len(history) and targets:
            users.append(TestUser(history, frozenset(targets)))
    if len(users) < least:
        raise NotEnoughData(
            f"found {len(users)} users with interactions before {from_ms(cut_ms).isoformat()} and new items after it; "
            f"expected at least {least}; collect events for longer"
        )
    return users


def compare(
    training_set: TrainingSet, cut_ms: int, users: Sequence[TestUser], rankers: dict[str, Scorer], seed: int
) -> Evaluation:
    """Ranks all items for each user by the model (`rankers`, first of them "model") and by the baselines.

    Args:
        training_set: All interactions; baselines count those before the cut.
        cut_ms: The cut, ms since the epoch.
        users: From `split_users`.
        rankers: Scorers (N,) by name; "model" is the one that the baselines are held against.
        seed: Of the bootstrap.
    """
    items = len(training_set.table.vocabulary)
    before = training_set.before(cut_ms).users
    baselines = (Popularity(before, items, cut_ms), Popularity(before, items, cut_ms, days=7), CoVisits(before, items))
    every = dict(rankers) | {baseline.name: baseline.scores for baseline in baselines}
    figures = {name: _figures(scorer, users) for name, scorer in every.items()}
    rng = np.random.default_rng(seed)
    rows = {}
    for name, figure in figures.items():
        above = None if name in rankers else bootstrap_interval(figures["model"][:, 0] - figure[:, 0], rng)
        ndcg, recall_20, recall_100, mrr = (float(mean) for mean in figure.mean(axis=0))
        rows[name] = Scores(ndcg, recall_20, recall_100, mrr, above)
    best_baseline = max(rows[baseline.name].ndcg_at_10 for baseline in baselines)
    return Evaluation(
        cut=from_ms(cut_ms).isoformat(),
        users=len(users),
        items=items,
        targets_per_user=float(np.mean([len(user.targets) for user in users])),
        rankers=rows,
        beats_all=rows["model"].ndcg_at_10 > best_baseline,
    )


def mean_ndcg(scorer: Scorer, users: Sequence[TestUser]) -> float:
    """Mean NDCG@10 of one ranker."""
    return float(_figures(scorer, users)[:, 0].mean())


def _figures(scorer: Scorer, users: Sequence[TestUser]) -> NDArray[np.float64]:
    rows = []
    for user in users:
        ranked = best_first(scorer(user.history), user.history.items, DEPTH)
        rows.append(
            (
                ndcg_at(ranked, user.targets, 10),
                recall_at(ranked, user.targets, 20),
                recall_at(ranked, user.targets, DEPTH),
                reciprocal_rank(ranked, user.targets),
            )
        )
    return np.array(rows, dtype=np.float64)
