"""A search over the model's few knobs by Ray Tune: random draws, halved early by ASHA, resumed by its name.

The figure is that of the validation users alone; the test is not even sent to a trial. A search that was interrupted
goes on where it was: finished trials are read, unfinished ones start again.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from contracts.errors import BadInput, NotEnoughData
from training.data.archive_set import TrainingSet
from training.data.sequences import item_shares
from training.evaluation.protocol import Split, newest_share_from
from training.held_out_users import HeldOutUsers
from training.loop import LoopConfig, Progress, Worker, train_towers
from training.losses import TowerLoss
from training.model.blocks import BlockKind
from training.model.fusion import FusionTransformer
from training.recipe import Recipe
from training.tower_step import TowerStep
from training.trials import METRIC, Trial, Trials
from training.warm_start import best_half_life, recent_counts, warm_start

Knobs = dict[str, Any]
"""One drawn recipe: some fields of `Recipe`, or what draws them."""


@dataclass(frozen=True)
class Search:
    """What to search, and its bounds.

    Attributes:
        name: A search of the same name in the same storage is resumed, over the same data alone; one folder.
        storage: Where searches lie.
        trials: Settings to draw.
        epochs: Of a trial that ASHA never stops.
        seconds_limit: Of all trials together, from the start or the resumption on; 0 means none.
        at_once: Trials side by side, one core each.
        seed: Of the draws and of every trial.
    """

    name: str
    storage: Path
    trials: int = 20
    epochs: int = 8
    seconds_limit: float = 0.0
    at_once: int = 1
    seed: int = 7


def space() -> Knobs:
    """What is drawn. Ranges, not choices tuned to any set; every value of each is a model that trains."""
    from ray import tune

    return {
        "width": tune.choice([32, 64, 128]),
        "layers": tune.choice([1, 2, 3]),
        "dropout": tune.uniform(0.1, 0.6),
        "learning_rate": tune.loguniform(3e-4, 5e-3),
        "loss": tune.choice([kind.value for kind in TowerLoss if kind is not TowerLoss.AUTO]),
        "negatives": tune.choice([256, 1024, 4096]),
        "block": tune.choice([kind.value for kind in BlockKind]),
    }


def search(
    split: Split,
    config: Search,
    knobs: Knobs | None = None,
    observers: Sequence[Any] = (),
    progress: Progress | None = None,
) -> Trials:
    """Runs the search, or goes on with it.

    Li et al., "A system for massively parallel hyperparameter tuning" (2020), alg. 2: a trial below the best half of
    those that reached its epoch is stopped; rungs at 1, 2, 4, ... epochs.

    Args:
        split: A protocol's cut; only `training` and `validation` are read.
        config: Name and bounds.
        knobs: As `space()` gives them when None; a resumed search keeps the draws that it began with.
        observers: Callbacks of Ray Tune.
        progress: Called as trials end.

    Returns:
        All trials, best first.

    Raises:
        NotEnoughData: no validation users.
        BadInput: the folder holds a search over other interactions or by another protocol.
    """
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.basic_variant import BasicVariantGenerator

    from training.search_progress import SearchProgress

    if not split.validation:
        raise NotEnoughData(
            f"found no validation users in {split.protocol}; expected some to choose settings on; collect for longer"
        )
    seen = replace(split, test=(), newer=split.training)
    with _cluster(config.at_once):
        trainable = tune.with_resources(tune.with_parameters(_trial, split=seen, config=config), {"cpu": 1})
        place = (config.storage.absolute() / config.name).as_posix()
        _keep_to(Path(place), f"{seen.protocol} {seen.training.fingerprint()}")
        if tune.Tuner.can_restore(place):
            tuner = tune.Tuner.restore(place, trainable=trainable, resume_unfinished=True, restart_errored=True)
        else:
            tuner = tune.Tuner(
                trainable,
                param_space=space() if knobs is None else knobs,
                tune_config=tune.TuneConfig(
                    metric=METRIC,
                    mode="max",
                    num_samples=config.trials,
                    time_budget_s=config.seconds_limit or None,
                    scheduler=ASHAScheduler(max_t=config.epochs + 1, grace_period=2, reduction_factor=2),
                    search_alg=BasicVariantGenerator(max_concurrent=config.at_once, random_state=config.seed),
                    reuse_actors=True,
                ),
                run_config=tune.RunConfig(
                    name=config.name,
                    storage_path=config.storage.absolute().as_posix(),
                    callbacks=[SearchProgress(), *observers],
                    verbose=0,
                ),
            )
        SearchProgress.told, SearchProgress.total = progress, config.trials
        results = tuner.fit()
    return Trials.of(config.name, split.protocol, [Trial.of(result) for result in results])


def _trial(knobs: Knobs, *, split: Split, config: Search) -> None:
    """One trial, in a process of its own: reports the validation figure before the first epoch and after each."""
    from ray import tune

    torch.set_num_threads(1)
    torch.manual_seed(config.seed)
    learned, table = split.training, split.training.table
    judged = HeldOutUsers(split.validation, table, without_history=split.without_history)
    recipe = Recipe(**knobs)
    model = FusionTransformer(recipe.model(table.shape))
    items, until_ms = len(table.vocabulary), learned.data_to_ms + 1
    counts = recent_counts(learned.users, items, until_ms, best_half_life(learned.users, items, _middle(learned)))
    warm_start(model, table, learned.users, counts, config.seed)
    shares = torch.from_numpy(item_shares(learned.users, items))
    step = TowerStep(model, table, recipe.tower_loss(), shares)
    epoch = -1

    def validate() -> float:
        nonlocal epoch
        epoch += 1
        ndcg = judged.ndcg(model)
        tune.report({METRIC: ndcg, "epoch": epoch})
        return 1.0 - ndcg

    loop = LoopConfig(config.epochs, learning_rate=recipe.learning_rate)
    train_towers(step, learned.users, loop, Worker(seed=config.seed), lambda what, share: None, validate)


def _keep_to(place: Path, searched: str) -> None:
    """Notes what a new search is over; refuses to go on with one over something else."""
    note = place / "searched.txt"
    if note.exists() and note.read_text() != searched:
        raise BadInput(
            f"found in {place} a search over other interactions or by another protocol; expected those that it began "
            "with; name another folder"
        )
    place.mkdir(parents=True, exist_ok=True)
    note.write_text(searched)


def _middle(learned: TrainingSet) -> int:
    """Time (ms) that the newest tenth begins at: what the half-life of popularity is chosen on."""
    return newest_share_from(learned, 0.1)


@contextmanager
def _cluster(cores: int) -> Iterator[None]:
    """A local cluster for the search where none is there yet, gone afterwards."""
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "1")  # what is finished is on disk a second later
    started = not ray.is_initialized()
    if started:
        ray.init(address="local", num_cpus=cores, include_dashboard=False, log_to_driver=False)
    try:
        yield
    finally:
        if started:
            ray.shutdown()
