"""One study: any data set under a named protocol, our model beside all baselines, from files to tables.

1. Load the files.  2. Split by the protocol.  3. Fit the towers, once a seed.  4. Rank all items for every test user.
5. Compare.  6. Write table, JSON, pictures and a checkpoint.
"""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from contracts.clock import to_ms
from contracts.errors import BadFile
from training.batch import checkpoint_of
from training.data.archive_set import TrainingSet
from training.data.interactions import Interactions
from training.data.sequences import item_counts
from training.data.session_files import read_sessions
from training.data.two_files import Encoders, read_two_files
from training.evaluation.baselines.chosen import baselines
from training.evaluation.baselines.ranker import block_scorer
from training.evaluation.compare import MODEL, Described, Tested, compare
from training.evaluation.protocol import Split, TestUser, k_folds, leave_one_out, session_split, time_split
from training.evaluation.ranking import BlockScorer, Ranking, rank_targets
from training.evaluation.report import Evaluation
from training.evaluation.slices import slice_flags
from training.evaluation.written import write
from training.loop import Progress
from training.model import checkpoint
from training.model.fusion import FusionTransformer
from training.tower_fit import FitPlan, Fitted, fit_towers

SMALL_USERS = 200
"""Leave-one-out with fewer test users is done in folds: one split of so few says little."""

FOLDS = 5

TOWERS = "towers"
"""The model without the neighbours that its ranking is mixed with."""

OWN = frozenset((MODEL, TOWERS))


class Protocol(StrEnum):
    """The protocols by name."""

    LEAVE_ONE_OUT = "leave-one-out"
    TIME_SPLIT = "time-split"
    SESSIONS = "sessions"


@dataclass(frozen=True)
class Study:
    """What to study.

    Attributes:
        events: The interactions, or the sessions.
        protocol: How to split.
        output: Where results go.
        items: The items; None for behaviour alone.
        test_events: Test prefixes; sessions only.
        cut: The cut; time split only. None is the newest tenth.
        seeds: One training each; figures are their mean.
    """

    events: Path
    protocol: Protocol
    output: Path
    items: Path | None = None
    test_events: Path | None = None
    cut: datetime | None = None
    seeds: tuple[int, ...] = (7,)


@dataclass(frozen=True)
class Files:
    """What step 1 gives."""

    training_set: TrainingSet
    log: Interactions
    test: tuple[TestUser, ...] | None
    remarks: tuple[str, ...]


def run_study(study: Study, encoders: Encoders, plan: FitPlan, progress: Progress) -> Evaluation:
    """Runs a study.

    Args:
        study: What to study.
        encoders: For the items' texts and pictures.
        plan: How to fit; the study sets its seed, what is learned and what is observed.
        progress: Called with what is being done and the share done.

    Raises:
        BadFile: a file cannot be read, or has no times for a time split.
        NotEnoughData: too little to learn from or to test on.
    """
    files = load(study, encoders, _part(progress, 0.0, 0.1))  # 1
    splits = split(study, files, plan.worker.seed)  # 2
    fitted = fit(study, splits, plan, _part(progress, 0.1, 0.7))  # 3
    tests, chosen = rank(splits, fitted.models, files.log.timed, _part(progress, 0.7, 0.95))  # 4
    remarks = (*files.remarks, *remarks_on(splits[0]), *chosen, fitted.remark)
    described = Described(splits[0].protocol, splits[0].without_history, OWN, remarks, fitted.curve)
    progress("comparing", 0.95)
    evaluation = compare(tests, described, plan.worker.seed)  # 5
    progress("writing", 0.98)
    write(evaluation, study.output)  # 6
    save_model(study.output / "model", fitted.models[0][0].model, splits[0].newer)
    return evaluation


def load(study: Study, encoders: Encoders, progress: Progress) -> Files:
    """Reads the study's files."""
    if study.protocol is Protocol.SESSIONS:
        sessions = read_sessions(study.events, study.test_events, study.items, encoders, progress)
        return Files(sessions.training_set, sessions.log, sessions.test, sessions.remarks)
    loaded = read_two_files(study.events, study.items, encoders, progress)
    if study.protocol is Protocol.TIME_SPLIT and not loaded.log.timed:
        raise BadFile(
            f"found no column time in {study.events}; expected one for a time split; add it, or choose leave-one-out"
        )
    return Files(loaded.training_set, loaded.log, None, loaded.remarks)


def split(study: Study, files: Files, seed: int) -> list[Split]:
    """The protocol applied: one split, or one a fold where users are few."""
    if study.protocol is Protocol.SESSIONS:
        return [session_split(files.training_set, files.test)]
    if study.protocol is Protocol.TIME_SPLIT:
        return [time_split(files.training_set, to_ms(study.cut) if study.cut else None)]
    whole = leave_one_out(files.training_set)
    return k_folds(files.training_set, FOLDS, seed) if len(whole.test) < SMALL_USERS else [whole]


@dataclass(frozen=True)
class FittedStudy:
    """Models by split and seed, the validation curve of the first, and how long a training took."""

    models: list[list[Fitted]]
    curve: dict[str, tuple[float, ...]]
    remark: str


def fit(study: Study, splits: Sequence[Split], plan: FitPlan, progress: Progress) -> FittedStudy:
    """One training a split and seed."""
    curve: list[float] = []
    models: list[list[Fitted]] = []
    started, done, total = time.monotonic(), 0, len(splits) * len(study.seeds)
    for part in splits:
        models.append([])
        for seed in study.seeds:
            own = replace(
                plan,
                worker=replace(plan.worker, seed=seed),
                without_history=part.without_history,
                newer=None if part.newer is part.training else part.newer,
                observe=curve.append if done == 0 else _unobserved,
            )
            told = _part(progress, done / total, (done + 1) / total)
            models[-1].append(fit_towers(part.training, part.validation, own, told))
            done += 1
    seconds = (time.monotonic() - started) / total
    mixing = models[0][0].neighbours.mixing
    parameters = sum(tensor.numel() for tensor in models[0][0].model.parameters())
    remark = (
        f"model: {parameters:,} parameters, {seconds:.0f} s a training, {len(study.seeds)} seeds; "
        f"{mixing.share:.0%} of the probability by co-visits (history decay {mixing.counted.decay})"
    )
    return FittedStudy(models, {"validation NDCG@10": tuple(curve)}, remark)


def rank(
    splits: Sequence[Split], models: Sequence[Sequence[Fitted]], timed: bool, progress: Progress
) -> tuple[list[Tested], list[str]]:
    """Rankings of every split by the model and all baselines, and the settings that baselines were given."""
    tests: list[Tested] = []
    chosen: list[str] = []
    for place, (part, fitted) in enumerate(zip(splits, models, strict=True)):
        told = _part(progress, place / len(splits), (place + 1) / len(splits))
        others = baselines(part, timed, _part(told, 0.0, 0.5))
        chosen = chosen or [f"{other.name}: {other.chosen}" for other in others if other.chosen]
        table = part.newer.table
        scorers: dict[str, list[BlockScorer]] = {
            MODEL: [each.scorer(table) for each in fitted],
            TOWERS: [each.towers(table) for each in fitted],
        }
        scorers |= {other.name: [block_scorer(other)] for other in others}
        told("ranking", 0.5)
        counts = item_counts(part.newer.users, len(table.vocabulary))
        tests.append(
            Tested(
                _ranked(scorers, part.test, part.without_history),
                _ranked(scorers, part.newcomers, part.without_history) if part.newcomers else {},
                slice_flags(part.test, counts, table),
                counts,
            )
        )
    return tests, chosen


def remarks_on(part: Split) -> list[str]:
    """What a split left apart."""
    if not part.newcomers:
        return []
    return [f"{len(part.newcomers)} users touched items that nobody had before the cut: they are the slice `new items`"]


def save_model(directory: Path, model: FusionTransformer, learned: TrainingSet) -> None:
    """Writes the checkpoint beside its place, and then puts it there whole."""
    partial = directory.with_name(f"{directory.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    checkpoint.save(partial, checkpoint_of(model, learned))
    shutil.rmtree(directory, ignore_errors=True)
    partial.rename(directory)


def _ranked(
    scorers: dict[str, list[BlockScorer]], users: Sequence[TestUser], without_history: bool
) -> dict[str, list[Ranking]]:
    return {
        name: [rank_targets(scorer, users, without_history, logits=name in OWN) for scorer in each]
        for name, each in scorers.items()
    }


def _unobserved(ndcg_at_10: float) -> None:
    """The curve is that of the first training."""


def _part(progress: Progress, start: float, end: float) -> Progress:
    return lambda what, share: progress(what, start + (end - start) * share)
