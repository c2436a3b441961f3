"""All baselines of a split, each with the settings that rank its validation users best; the test is never looked at."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import TypeVar

import numpy as np

from training.co_visits import CoVisitSettings
from training.data.archive_set import TrainingSet
from training.evaluation.baselines.als import Als, AlsSettings
from training.evaluation.baselines.co_visits import CoVisits, PopularCoVisits
from training.evaluation.baselines.popularity import Popularity
from training.evaluation.baselines.ranker import Baseline, block_scorer
from training.evaluation.metrics import ndcg
from training.evaluation.protocol import Split, TestUser
from training.evaluation.ranking import rank_targets
from training.loop import Progress

MOST_USERS = 1000
"""Validation users that settings are chosen on, at most, spread evenly."""

RECENT_DAYS = 7
DECAYS = (0.5, 0.8, 0.9, 0.98)
HALF_LIVES_DAYS = (None, 14.0, 60.0)
ALS_SETTINGS = tuple(
    AlsSettings(factors, regularization, alpha)
    for (factors, alpha), regularization in product(((64, 1.0), (128, 10.0)), (0.01, 0.1))
)

Settings = TypeVar("Settings")


def baselines(split: Split, timed: bool, progress: Progress) -> list[Baseline]:
    """Fits every baseline to `split.newer`.

    Args:
        split: Settings are chosen by fitting `training` and ranking for `validation`; with no validation users each
            baseline keeps its first setting.
        timed: Whether the times are real; without them there are no last seven days and no half-lives.
        progress: Called with the baseline and the share done.
    """
    items = len(split.newer.table.vocabulary)
    users = split.newer.users
    every: list[Baseline] = [Popularity(users, items, split.asked_ms)]
    co_visit_settings = [
        CoVisitSettings(decay, half_life) for half_life, decay in product(HALF_LIVES_DAYS if timed else (None,), DECAYS)
    ]
    progress("baseline: co-visits", 0.1)
    settings = _best(split, co_visit_settings, lambda log, asked_ms, each: CoVisits(log.users, items, asked_ms, each))
    every.append(CoVisits(users, items, split.asked_ms, settings))
    if timed:
        progress("baseline: co-visits of the last days", 0.3)
        every.insert(1, Popularity(users, items, split.asked_ms, RECENT_DAYS))
        settings = _best(split, co_visit_settings, lambda log, asked_ms, each: _product(log, items, asked_ms, each))
        every.append(_product(split.newer, items, split.asked_ms, settings))
    progress("baseline: ALS", 0.5)
    als = _best(split, ALS_SETTINGS, lambda log, asked_ms, each: Als(log.users, items, each))
    every.append(Als(users, items, als))
    progress("baselines", 1.0)
    return every


def _product(log: TrainingSet, items: int, asked_ms: int, settings: CoVisitSettings) -> PopularCoVisits:
    recent = Popularity(log.users, items, asked_ms, RECENT_DAYS)
    return PopularCoVisits(recent, CoVisits(log.users, items, asked_ms, settings))


def _best(
    split: Split, choices: Sequence[Settings], fitted: Callable[[TrainingSet, int, Settings], Baseline]
) -> Settings:
    """The settings whose baseline, fitted to `training`, ranks the validation users best by NDCG@10."""
    users = _spread(split.validation)
    if not users:
        return choices[0]
    asked_ms = max(user.at_ms for user in users)

    def quality(choice: Settings) -> float:
        scorer = block_scorer(fitted(split.training, asked_ms, choice))
        return float(ndcg(rank_targets(scorer, users, split.without_history), 10).mean())

    return max(choices, key=quality)


def _spread(users: Sequence[TestUser]) -> list[TestUser]:
    if len(users) <= MOST_USERS:
        return list(users)
    return [users[place] for place in np.linspace(0, len(users) - 1, MOST_USERS).astype(int).tolist()]
