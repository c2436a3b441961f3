"""What an evaluation found: every ranker on the same users, with intervals, slices and reliability; JSON both ways."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from training.evaluation.slices import SliceScores

Interval = tuple[float, float]
Bin = tuple[float, float, int]


@dataclass(frozen=True)
class Scores:
    """How one ranker did.

    Attributes:
        figures: Means over users by name ("ndcg_at_10"), over runs too where there are several.
        interval: 95 % bootstrap interval of the mean NDCG@10.
        model_above: The same of the model's NDCG@10 less this one's, user by user; None for the model's own rankers.
        slices: By the name of the slice.
        runs: NDCG@10 of each run (seed); one for a ranker that no seed moves.
        reliability: Bins of the first item's probability: mean, share that was right, size; empty without logits.
    """

    figures: dict[str, float]
    interval: Interval
    model_above: Interval | None
    slices: dict[str, SliceScores]
    runs: tuple[float, ...]
    reliability: tuple[Bin, ...] = ()

    @property
    def ndcg_at_10(self) -> float:
        """Mean NDCG@10."""
        return self.figures["ndcg_at_10"]


@dataclass(frozen=True)
class Evaluation:
    """One evaluation.

    Attributes:
        protocol: Its name and cut.
        users: Users (prefixes) tested.
        items: Items ranked, before those of a history are left out.
        without_history: Whether those are.
        targets_per_user: Mean number of targets.
        rankers: By name; "model" is the one that the baselines are held against.
        beats_all: Whether the model's mean NDCG@10 is above that of every baseline.
        remarks: What a reader must know: rows left out, settings chosen.
        curve: Training curves by name, one figure an epoch.
    """

    protocol: str
    users: int
    items: int
    without_history: bool
    targets_per_user: float
    rankers: dict[str, Scores]
    beats_all: bool
    remarks: tuple[str, ...] = ()
    curve: dict[str, tuple[float, ...]] | None = None

    def as_json(self) -> str:
        """The evaluation as JSON."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> "Evaluation":
        """The evaluation that `as_json` gave."""
        fields = json.loads(text)
        fields["rankers"] = {name: _scores(row) for name, row in fields["rankers"].items()}
        fields["remarks"] = tuple(fields["remarks"])
        if fields["curve"] is not None:
            fields["curve"] = {name: tuple(values) for name, values in fields["curve"].items()}
        return cls(**fields)

    def as_metrics(self) -> dict[str, float]:
        """The figures for a version's manifest."""
        figures = {f"ndcg_at_10_{name}": row.ndcg_at_10 for name, row in self.rankers.items()}
        model = self.rankers["model"].figures
        return figures | {"recall_at_20": model["recall_at_20"], "beats_baselines": float(self.beats_all)}


def _scores(row: dict[str, Any]) -> Scores:
    return Scores(
        figures=row["figures"],
        interval=_pair(row["interval"]),
        model_above=_pair(row["model_above"]) if row["model_above"] else None,
        slices={name: SliceScores(**fields) for name, fields in row["slices"].items()},
        runs=tuple(row["runs"]),
        reliability=tuple((mean, share, size) for mean, share, size in row["reliability"]),
    )


def _pair(values: list[float]) -> Interval:
    low, high = values
    return low, high
