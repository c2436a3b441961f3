"""`millstream train`: a model version from the archive, announced to serving and learner."""

from contracts.settings import Settings, settings
from contracts.versions import PublishedVersion
from millstream import console
from millstream.console import Advance
from millstream.job import run_job


def train() -> None:
    """Train a model on the archived events and publish it."""
    with console.step("Training") as advance:
        version = train_and_publish(settings(), advance)
    console.say(f"published {version.version}, learned from {version.examples} examples")
    say_verdict(version)


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
