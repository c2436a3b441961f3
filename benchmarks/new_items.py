"""Items that nobody has touched, ranked by their titles: `python -m benchmarks.new_items --seeds 3 --save`.

A tenth of Amazon Beauty's items, drawn by the seed, is taken out of everyone's interactions; the model learns the rest,
titles included, with the settings of every study. Each user who touched such an item is asked just before the first of
them: the history is what the user touched of the other items, the target is the new item. It is ranked among the new
items alone, and among all.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
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
from training.evaluation.intervals import bootstrap_interval
from training.evaluation.metrics import ndcg, recall
from training.evaluation.protocol import TestUser, leave_one_out, part_of
from training.evaluation.ranking import BlockScorer, rank_targets
from training.model.content import MODALITIES, ContentTable
from training.studies import load
from training.tower_fit import fit_towers

SHARE = 0.1
"""Of the items that are new."""

HISTORY_DECAY = 0.8
"""Of the title baseline: the weight of a history's item, to the power of its age in interactions."""


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


def by_titles(table: ContentTable) -> BlockScorer:
    """Cosine of an item's title with the titles of the history, newest first: no learning at all."""
    tokens = table.tokens()
    titles = torch.nn.functional.normalize(tokens.text, dim=1).numpy() * tokens.present[:, :1].numpy()  # (N, Dt)

    def scores(users: Sequence[TestUser]) -> NDArray[np.float32]:
        weights = recency_weights([user.history for user in users], len(titles), HISTORY_DECAY)  # (B, N)
        read: NDArray[np.float32] = (weights @ titles) @ titles.T
        return read

    return scores


def among(new: NDArray[np.bool_], scorer: BlockScorer) -> BlockScorer:
    """The same with the new items alone as candidates."""
    return lambda users: np.where(new, scorer(users), np.float32(-np.inf))


def measure(log: TrainingSet, seed: int) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Figures of each user by ranker; the seed draws the new items too."""
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
        "titles alone": by_titles(table),
        "popularity": lambda users: np.broadcast_to(counts, (len(users), items)),
    }
    users = asked(log, new)
    found: dict[str, dict[str, NDArray[np.float64]]] = {}
    for name, scorer in rankers.items():
        ranked = rank_targets(among(new, scorer), users, without_history=True)
        whole = rank_targets(scorer, users, without_history=True)
        found[name] = {
            "recall@20 among new items": recall(ranked, 20),
            "NDCG@10 among new items": ndcg(ranked, 10),
            "recall@20 among all items": recall(whole, 20),
        }
    # Popularity knows nothing of new items, and ties count against a ranker; drawn by lot, it would find this share.
    found["popularity, ties by lot"] = {"recall@20 among new items": np.full(len(users), 20 / new.sum())}
    return found


def main() -> None:
    """Measures, prints and keeps."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seeds", type=int, default=1)
    arguments.add_argument("--save", action="store_true")
    given = arguments.parse_args()
    on = machine()
    with tempfile.TemporaryDirectory() as folder:
        log = log_of("beauty-titles", Path(folder))
    every = [measure(log, settings().seed + place) for place in range(given.seeds)]
    command = f"python -m benchmarks.new_items --seeds {given.seeds} --save"
    rows, result = table_of(every)
    report = (
        f"# Items that nobody has touched\n\n`{command}`, {on['processor']}, {on['cores']} cores, Python "
        f"{on['python']}, {on['at']}.\n\nAmazon Beauty with titles; a tenth of its {len(log.table.vocabulary):,} items "
        f"is in nobody's learned interactions. {given.seeds} seeds, each with other new items; "
        f"{sum(len(each['model']['recall@20 among new items']) for each in every):,} rankings. 95 % intervals by "
        "bootstrap over users.\n\n" + rows
    )
    print(report)
    if given.save:
        (RESULTS / "new_items.md").write_text(report)
        print("saved:", save("new_items", {"command": command, "machine": on, "figures": result}))


def table_of(every: Sequence[dict[str, dict[str, NDArray[np.float64]]]]) -> tuple[str, dict[str, Any]]:
    """Markdown and JSON of the figures of all seeds together."""
    columns = list(every[0]["model"])
    lines = [f"| ranker | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    result: dict[str, Any] = {}
    for name in every[0]:
        cells, result[name] = [], {}
        for column in columns:
            if column not in every[0][name]:
                cells.append("")
                continue
            values = np.concatenate([each[name][column] for each in every])
            low, high = bootstrap_interval(values, np.random.default_rng(0))
            result[name][column] = {"mean": float(values.mean()), "low": float(low), "high": float(high)}
            cells.append(f"{values.mean():.4f} ({low:.4f} to {high:.4f})")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    column = "recall@20 among new items"
    ratio = result["model"][column]["mean"] / result["popularity, ties by lot"][column]["mean"]
    result["times_popularity_by_lot"] = ratio
    return "\n".join(lines) + f"\n\nThe model finds {ratio:.1f} times what popularity finds by lot.\n", result


def _kept(user: UserSequence, wanted: NDArray[np.bool_]) -> UserSequence:
    columns: Callable[[NDArray[Any]], NDArray[Any]] = lambda column: column[wanted]  # noqa: E731 - one line a use
    return UserSequence(user.user_id, *map(columns, (user.items, user.kinds, user.times_ms, user.fresh)))


def _untold(what: str, share: float) -> None:
    """Nobody watches."""


if __name__ == "__main__":
    main()
