"""`millstream evaluate`: the model against popularity and co-visit counts, on a time split, all items ranked."""

from pathlib import Path
from typing import Annotated

import typer

from contracts.settings import settings
from millstream import console
from millstream.job import run_job

Output = Annotated[Path, typer.Option(help="Folder for evaluation.json and evaluation.md.")]


def evaluate(output: Output = Path("build/evaluation")) -> None:
    """Compare the model with its baselines and say whether it beats them; publishes nothing."""
    with console.step("Evaluating") as advance:
        result = run_job("evaluate", settings(), advance, str(output.absolute()))
    console.out.print(result["markdown"], markup=False, soft_wrap=True)
    console.say(f"written to {output.absolute()}")
