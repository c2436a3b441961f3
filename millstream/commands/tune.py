"""`millstream tune`: a search over the model's knobs on a shop's own files; it goes on where it was interrupted."""

import json
from pathlib import Path
from typing import Annotated

import typer

from contracts.settings import settings
from millstream import console
from millstream.commands.train import PROTOCOLS, Cut, Items
from millstream.job import run_job
from training.trials import RECIPE

Trials = Annotated[int, typer.Option(min=1, help="Settings to draw.")]
Epochs = Annotated[int, typer.Option(min=1, help="Epochs of a trial that is never stopped early.")]
AtOnce = Annotated[int, typer.Option(min=1, help="Trials side by side, one core each.")]
Output = Annotated[
    Path, typer.Option(help="Folder of the search; the same folder, with the same files, goes on with it.")
]


def tune(
    events: Annotated[Path, typer.Option(help="Interactions (user, item, time, kind) or sessions.")],
    protocol: Annotated[str, typer.Option(help="leave-one-out, time-split or sessions.")],
    items: Items = None,
    cut: Cut = None,
    trials: Trials = 20,
    epochs: Epochs = 8,
    at_once: AtOnce = 1,
    output: Output = Path("build/search"),
) -> None:
    """Search width, depth, dropout, rate, loss, negatives and block on the validation users; a table of all trials."""
    if protocol not in PROTOCOLS:
        raise typer.BadParameter(f"found --protocol {protocol}; expected one of {', '.join(PROTOCOLS)}")
    asked = {
        "events": str(events.absolute()),
        "items": str(items.absolute()) if items else None,
        "protocol": protocol,
        "cut": cut,
        "output": str(output.absolute()),
        "trials": trials,
        "epochs": epochs,
        "at_once": at_once,
    }
    with console.step(f"Searching, {trials} trials") as advance:
        result = run_job("tune", settings(), advance, json.dumps(asked))
    console.out.print(result["markdown"], markup=False, soft_wrap=True)
    console.say(f"written to {output.absolute()}: trials.md, trials.json")
    console.say(f"to train with the best of them: millstream train --recipe {output / RECIPE}")
