"""A study of a shop's own files as a job: its words on the way to the child process, what settings give it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from contracts.errors import BadFile
from contracts.settings import Settings
from services.embedding.registry import picture_encoder, text_encoder
from training.data.two_files import Encoders
from training.evaluation.report import Evaluation
from training.loop import LoopConfig, Progress, Worker
from training.recipe import read_recipe
from training.studies import Protocol, Study, load, run_study, split
from training.tower_fit import FitPlan
from training.trials import Trials

EPOCHS = 12
"""Epochs at most: the validation users say when to stop."""

LEARNING_RATE = 2e-3


def study_job(words: str, given: Settings, progress: Progress) -> Evaluation:
    """Runs the study that JSON words describe. Raises BadFile and NotEnoughData."""
    return run_study(study_of(json.loads(words), given), encoders_of(given), plan_of(given), progress)


def tune_job(words: str, given: Settings, progress: Progress) -> Trials:
    """Runs the search that JSON words describe, or goes on with it. Raises BadFile and NotEnoughData."""
    from training.tuning import Search, search

    asked = json.loads(words)
    study = study_of(asked | {"seeds": 1}, given)
    files = load(study, encoders_of(given), lambda what, share: progress(what, share * 0.1))
    bounds = Search(
        study.output.name, study.output.parent, asked["trials"], asked["epochs"], at_once=asked["at_once"],
        seed=given.seed,
    )  # fmt: skip
    told: Progress = lambda what, share: progress(what, 0.1 + share * 0.9)  # noqa: E731 - a part of the whole
    trials = search(split(study, files, given.seed)[0], bounds, progress=told)
    trials.write(study.output)
    return trials


def study_of(asked: dict[str, Any], given: Settings) -> Study:
    """The study of words: paths, protocol, cut, number of seeds. Raises BadFile for a cut that is no time."""
    return Study(
        events=Path(asked["events"]),
        protocol=Protocol(asked["protocol"]),
        output=Path(asked["output"]),
        items=Path(asked["items"]) if asked.get("items") else None,
        test_events=Path(asked["test_events"]) if asked.get("test_events") else None,
        cut=cut_of(asked["cut"]) if asked.get("cut") else None,
        seeds=tuple(range(given.seed, given.seed + int(asked["seeds"]))),
    )


def cut_of(text: str) -> datetime:
    """A date or time, UTC where it names no zone."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadFile(f"found the cut {text!r}; expected a date or time as 2011-11-11 or 2011-11-11T09:00") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def plan_of(given: Settings, seed: int | None = None) -> FitPlan:
    """How every study is fitted, whatever its data; the settings' seed unless another is given. Raises BadFile."""
    recipe = read_recipe(given.train_recipe, width=given.study_width, learning_rate=LEARNING_RATE)
    return FitPlan(
        recipe,
        LoopConfig(EPOCHS, learning_rate=recipe.learning_rate),
        Worker(torch.device(given.train_device), seed=given.seed if seed is None else seed),
    )


def encoders_of(given: Settings) -> Encoders:
    """The settings' encoders, each loaded when first asked."""
    cache = given.state_dir / "encoders"
    return Encoders(
        text=lambda texts: text_encoder(given.text_encoder, cache).encode(texts),
        picture=lambda pictures: picture_encoder(given.picture_encoder, cache).encode(pictures),
    )
