"""The trials of a search as a table: what was drawn, what it gave on the validation users, how long it took."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

METRIC = "validation_ndcg_at_10"
RECIPE = "recipe.json"


@dataclass(frozen=True)
class Trial:
    """One trial.

    Attributes:
        name: Ray's id of it.
        knobs: What was drawn.
        ndcg: Best NDCG@10 of the validation users over its epochs; None when it gave none.
        epochs: Epochs done, of which ASHA may have ended it early.
        seconds: Time it took.
        error: Last line of what stopped it; empty when nothing did.
    """

    name: str
    knobs: dict[str, Any]
    ndcg: float | None
    epochs: int
    seconds: float
    error: str = ""

    @classmethod
    def of(cls, result: Any) -> Self:
        """From a `ray.tune.Result`."""
        frame = result.metrics_dataframe
        figures = [] if frame is None or METRIC not in frame else frame[METRIC].dropna().tolist()
        metrics = result.metrics or {}
        error = "" if result.error is None else str(result.error).strip().splitlines()[-1]
        return cls(
            name=str(metrics.get("trial_id", Path(result.path).name)),
            knobs=dict(result.config or {}),
            ndcg=max(figures) if figures else None,
            epochs=int(metrics.get("epoch", 0)),
            seconds=float(metrics.get("time_total_s", 0.0)),
            error=error,
        )


@dataclass(frozen=True)
class Trials:
    """A search's trials, best first; those without a figure last."""

    name: str
    protocol: str
    trials: tuple[Trial, ...]

    @classmethod
    def of(cls, name: str, protocol: str, trials: Sequence[Trial]) -> Self:
        """Sorts the trials."""
        order = sorted(trials, key=lambda trial: (trial.ndcg is None, -(trial.ndcg or 0.0), trial.name))
        return cls(name, protocol, tuple(order))

    @property
    def best(self) -> Trial | None:
        """The best trial; None when no trial gave a figure."""
        return self.trials[0] if self.trials and self.trials[0].ndcg is not None else None

    def as_markdown(self) -> str:
        """The table."""
        knobs = sorted({name for trial in self.trials for name in trial.knobs})
        lines = [
            f"Search {self.name}: {len(self.trials)} trials; NDCG@10 of the validation users of {self.protocol}, all "
            "items ranked, by the towers alone. The test was not read.",
            "",
            f"| trial | NDCG@10 | epochs | s | {' | '.join(knobs)} | stopped by |",
            "|" + "---|" * (len(knobs) + 5),
        ]
        for trial in self.trials:
            drawn = " | ".join(_short(trial.knobs.get(name, "")) for name in knobs)
            figure = "" if trial.ndcg is None else f"{trial.ndcg:.4f}"
            error = trial.error.replace("|", "/")
            lines.append(f"| {trial.name} | {figure} | {trial.epochs} | {trial.seconds:.0f} | {drawn} | {error} |")
        return "\n".join([*lines, ""])

    def write(self, directory: Path) -> None:
        """Writes `trials.json`, `trials.md`, and the best trial's knobs as `recipe.json` for a training to be given."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "trials.json").write_text(json.dumps(asdict(self), indent=2, default=str) + "\n")
        (directory / "trials.md").write_text(self.as_markdown())
        if self.best is not None:
            (directory / RECIPE).write_text(json.dumps(self.best.knobs, indent=2) + "\n")


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
