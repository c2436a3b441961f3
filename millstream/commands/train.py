"""`millstream train`: a model version from the archive, announced to serving and learner; or a study of files."""

import json
from pathlib import Path
from typing import Annotated

import typer

from contracts.settings import Settings, settings
from contracts.versions import PublishedVersion
from millstream import console
from millstream.console import Advance
from millstream.job import run_job

Events = Annotated[
    Path | None,
    typer.Option(help="Interactions (user, item, time, kind) or sessions; nothing is published then."),
]
Items = Annotated[Path | None, typer.Option(help="Items (item, title, description, category, brand, price, ...).")]
TestEvents = Annotated[Path | None, typer.Option(help="Test sessions, lines `prefix | target`; for sessions alone.")]
ProtocolName = Annotated[str | None, typer.Option("--protocol", help="leave-one-out, time-split or sessions.")]
Cut = Annotated[str | None, typer.Option(help="For time-split: train before, test after; else the newest tenth.")]
Output = Annotated[Path, typer.Option(help="Folder for table, JSON, pictures and checkpoint.")]
Seeds = Annotated[int, typer.Option(min=1, help="Trainings; their mean is reported.")]

RecipeFile = Annotated[
    Path | None, typer.Option(help="JSON of the model's choices, as `millstream tune` leaves one (recipe.json).")
]

PROTOCOLS = ("leave-one-out", "time-split", "sessions")


def train(
    events: Events = None,
    items: Items = None,
    protocol: ProtocolName = None,
    test_events: TestEvents = None,
    cut: Cut = None,
    output: Output = Path("build/study"),
    seeds: Seeds = 1,
    recipe: RecipeFile = None,
) -> None:
    """Train a model on the archived events and publish it; with --events, train and evaluate on your own files."""
    given = settings() if recipe is None else settings().model_copy(update={"train_recipe": recipe})
    if events is not None:
        _study(given, events, items, protocol, test_events, cut, output, seeds)
        return
    if any(option is not None for option in (items, protocol, test_events, cut)):
        raise typer.BadParameter("found options of a study without --events; name the interactions file")
    with console.step("Training") as advance:
        version = train_and_publish(given, advance)
    console.say(f"published {version.version}, learned from {version.examples} examples")
    say_verdict(version)


def _study(
    given: Settings,
    events: Path,
    items: Path | None,
    protocol: str | None,
    test_events: Path | None,
    cut: str | None,
    output: Path,
    seeds: int,
) -> None:
    if protocol not in PROTOCOLS:
        raise typer.BadParameter(f"found --protocol {protocol}; expected one of {', '.join(PROTOCOLS)}")
    if test_events is not None and protocol != "sessions":
        raise typer.BadParameter(f"found --test-events with {protocol}; expected it with sessions alone")
    if cut is not None and protocol != "time-split":
        raise typer.BadParameter(f"found --cut with {protocol}; expected it with time-split alone")
    asked = {
        "events": str(events.absolute()),
        "items": str(items.absolute()) if items else None,
        "test_events": str(test_events.absolute()) if test_events else None,
        "protocol": protocol,
        "cut": cut,
        "output": str(output.absolute()),
        "seeds": seeds,
    }
    with console.step(f"Training and evaluating, {protocol}") as advance:
        result = run_job("study", given, advance, json.dumps(asked))
    console.out.print(result["markdown"], markup=False, soft_wrap=True)
    console.say(f"written to {output.absolute()}: evaluation.md, evaluation.json, pictures, and the model")


def train_and_publish(given: Settings, advance: Advance) -> PublishedVersion:
    """Runs the batch training. Raises NotEnoughData, VectorsUnavailable, LogUnavailable."""
    return PublishedVersion.model_validate(run_job("train", given, advance))


def beats_baselines(version: PublishedVersion) -> bool:
    """Whether the version ranked better than every baseline on the time split."""
    return version.metrics.get("beats_baselines", 0.0) == 1.0


def say_verdict(version: PublishedVersion) -> None:
    """Says how the model did against its baselines, beaten or not."""
    figures = {
        name.removeprefix("ndcg_at_10_"): value
        for name, value in version.metrics.items()
        if name.startswith("ndcg_at_10_")
    }
    console.say(
        "NDCG@10 on the newest tenth, all items ranked: "
        + ", ".join(f"{name} {value:.4f}" for name, value in sorted(figures.items(), key=lambda pair: -pair[1]))
    )
    console.say(
        "the model beats every baseline" if beats_baselines(version) else "the model does NOT beat every baseline"
    )
