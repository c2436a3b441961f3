"""Items that nobody has touched, ranked by their titles: `python -m benchmarks.new_items --seeds 3 --save`.

A tenth of Amazon Beauty's items, drawn by the seed, is taken out of everyone's interactions; the model learns the rest,
titles included, with the settings of every study. Each user who touched such an item is asked just before the first of
them: the history is what the user touched of the other items, the target is the new item. It is ranked among the new
items alone, and among all. Other users' and the user's own later interactions with the other items are learned: what is
held back is the items, not the time.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.machine import RESULTS, machine, save
from benchmarks.quality_sets import SETS
from contracts.settings import settings
from millstream.studies import encoders_of, plan_of, study_of
from training.co_visits import recency_weights
from training.data.archive_set import TrainingSet
from training.data.sequences import UserSequence, item_counts
from training.evaluation.intervals import ROUNDS
from training.evaluation.metrics import ndcg, recall
from training.evaluation.protocol import Split, TestUser, leave_one_out, part_of
from training.evaluation.ranking import BlockScorer, rank_targets
from training.model.content import MODALITIES, ContentTable
from training.studies import load
from training.tower_fit import fit_towers

Floats = NDArray[np.float64]

SHARE = 0.1
"""Of the items that are new."""

HISTORY_DECAYS = (0.3, 0.5, 0.7, 0.8, 0.9, 0.98)
"""Of the title baseline, to choose from on the validation users: a history item's weight to the power of its age."""

LOOKED_AT_SEED = 7
"""How content begins was chosen with the new items of this seed in view; it is not among those reported."""


def log_of(name: str, folder: Path) -> TrainingSet:
    """All interactions and items of a quality set."""
    made = SETS[name](folder)
    asked = {"events": str(made.events), "items": str(made.items), "protocol": made.protocol, "output": str(folder)}
    return load(study_of(asked | {"seeds": 1}, settings()), encoders_of(settings()), _untold).training_set


def without(log: TrainingSet, new: NDArray[np.bool_]) -> TrainingSet:
    """The log as if the new items, (N,), did not exist yet."""
    return part_of(log, (_kept(user, ~new[user.items]) for user in log.users))


def asked(log: TrainingSet, new: NDArray[np.bool_]) -> list[TestUser]:
    """Users with a history of other items, just before their first new one."""
    users = []
    for user in log.users:
        places = np.flatnonzero(new[user.items])
        if len(places) and places[0] > 0:
            first = int(places[0])
            history = user.part(0, first)
            users.append(TestUser(history, frozenset({int(user.items[first])}), int(user.times_ms[first])))
    return users


def by_titles(table: ContentTable, decay: float) -> BlockScorer:
    """Cosine of an item's title with the titles of the history, newest first: no learning at all."""
    tokens = table.tokens()
    titles = torch.nn.functional.normalize(tokens.text, dim=1).numpy() * tokens.present[:, :1].numpy()  # (N, Dt)

    def scores(users: Sequence[TestUser]) -> NDArray[np.float32]:
        weights = recency_weights([user.history for user in users], len(titles), decay)  # (B, N)
        read: NDArray[np.float32] = (weights @ titles) @ titles.T
        return read

    return scores


def best_titles(split: Split) -> BlockScorer:
    """The title baseline with the decay that ranks the validation users best."""
    users = split.validation[:: max(1, len(split.validation) // 2000)]

    def quality(decay: float) -> float:
        scorer = by_titles(split.training.table, decay)
        return float(recall(rank_targets(scorer, users, split.without_history), 20).mean())

    return by_titles(split.training.table, max(HISTORY_DECAYS, key=quality))


def among(new: NDArray[np.bool_], scorer: BlockScorer) -> BlockScorer:
    """The same with the new items alone as candidates."""
    return lambda users: np.where(new, scorer(users), np.float32(-np.inf))


@dataclass(frozen=True)
class Found:
    """Figures of each ranking by ranker and name, and the user that was asked for in each."""

    figures: dict[str, dict[str, Floats]]
    users: list[str]


def measure(log: TrainingSet, seed: int) -> Found:
    """One training; the seed draws the new items too."""
    items = len(log.table.vocabulary)
    new = np.zeros(items, dtype=np.bool_)
    new[np.random.default_rng(seed).permutation(items)[: round(SHARE * items)]] = True
    split = leave_one_out(without(log, new))
    assert not item_counts(split.training.users, items)[new].any()
    began = time.monotonic()
    fitted = fit_towers(split.training, split.validation, plan_of(settings(), seed), _untold)
    print(f"seed {seed}: trained in {time.monotonic() - began:.0f} s", flush=True)
    table = split.training.table
    assert not table.tokens().present[new, MODALITIES.index("id")].any()
    counts = item_counts(split.training.users, items).astype(np.float32)
    rankers: dict[str, BlockScorer] = {
        "model": fitted.scorer(table),
        "titles alone": best_titles(split),
        "popularity": lambda users: np.broadcast_to(counts, (len(users), items)),
    }
    users = asked(log, new)
    found: dict[str, dict[str, Floats]] = {}
    for name, scorer in rankers.items():
        ranked = rank_targets(among(new, scorer), users, without_history=True)
        whole = rank_targets(scorer, users, without_history=True)
        found[name] = {
            "recall@20 among new items": recall(ranked, 20),
            "NDCG@10 among new items": ndcg(ranked, 10),
            "recall@20 among all items": recall(whole, 20),
        }
    # All new items are as popular: ties count against a ranker, and drawn by lot it finds this share.
    found["popularity, ties by lot"] = {"recall@20 among new items": np.full(len(users), 20 / new.sum())}
    return Found(found, [user.history.user_id for user in users])


def main() -> None:
    """Measures, prints and keeps."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seeds", type=int, default=1)
    arguments.add_argument("--save", action="store_true")
    given = arguments.parse_args()
    on = machine()
    with tempfile.TemporaryDirectory() as folder:
        log = log_of("beauty-titles", Path(folder))
    every = [measure(log, LOOKED_AT_SEED + 1 + place) for place in range(given.seeds)]
    command = f"python -m benchmarks.new_items --seeds {given.seeds} --save"
    rows, result = table_of(every)
    report = (
        f"# Items that nobody has touched\n\n`{command}`, {on['processor']}, {on['cores']} cores, Python "
        f"{on['python']}, {on['at']}.\n\nAmazon Beauty with titles; a tenth of its {len(log.table.vocabulary):,} items "
        f"is in nobody's learned interactions. {given.seeds} seeds, each with other new items; "
        f"{sum(len(each.users) for each in every):,} rankings. 95 % intervals by bootstrap over users. How content "
        f"begins was developed with seed {LOOKED_AT_SEED}, which is not among these.\n\n" + rows
    )
    print(report)
    if given.save:
        (RESULTS / "new_items.md").write_text(report)
        print("saved:", save("new_items", {"command": command, "machine": on, "figures": result}))


def table_of(every: Sequence[Found]) -> tuple[str, dict[str, Any]]:
    """Markdown and JSON of the figures of all seeds together."""
    columns = list(every[0].figures["model"])
    _, owner = np.unique([user for each in every for user in each.users], return_inverse=True)  # (rankings,)
    lines = [f"| ranker | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    result: dict[str, Any] = {}
    for name in every[0].figures:
        cells, result[name] = [], {}
        for column in columns:
            if column not in every[0].figures[name]:
                cells.append("")
                continue
            values = np.concatenate([each.figures[name][column] for each in every])
            low, high = interval_over_users(values, owner)
            result[name][column] = {"mean": float(values.mean()), "low": float(low), "high": float(high)}
            cells.append(f"{values.mean():.4f} ({low:.4f} to {high:.4f})")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    column = "recall@20 among new items"
    ratio = result["model"][column]["mean"] / result["popularity, ties by lot"][column]["mean"]
    result["times_popularity_by_lot"] = ratio
    return "\n".join(lines) + f"\n\nThe model finds {ratio:.1f} times what popularity finds by lot.\n", result


def interval_over_users(values: Floats, owner: NDArray[np.int64]) -> tuple[float, float]:
    """The 95 % interval of the mean of rankings, (R,), drawing users, (R,), with all their rankings of all seeds."""
    totals, counts = np.bincount(owner, values), np.bincount(owner)  # (U,)
    rng = np.random.default_rng(0)
    drawn = (rng.integers(0, len(totals), len(totals)) for _ in range(ROUNDS))
    low, high = np.quantile([totals[users].sum() / counts[users].sum() for users in drawn], [0.025, 0.975])
    return float(low), float(high)


def _kept(user: UserSequence, wanted: NDArray[np.bool_]) -> UserSequence:
    return UserSequence(user.user_id, user.items[wanted], user.kinds[wanted], user.times_ms[wanted], user.fresh[wanted])


def _untold(what: str, share: float) -> None:
    """Nobody watches."""


if __name__ == "__main__":
    main()
