"""`millstream evaluate`: the model against popularity and co-visit counts, on a time split, all items ranked."""

from pathlib import Path
from typing import Annotated

import typer

from contracts.settings import settings
from millstream import console

Output = Annotated[Path, typer.Option(help="Folder for evaluation.json and evaluation.md.")]


def evaluate(output: Output = Path("build/evaluation")) -> None:
    """Compare the model with its baselines and say whether it beats them; publishes nothing."""
    from training.run import evaluate as run_evaluation

    with console.step("Evaluating") as advance:
        evaluation = run_evaluation(settings(), output, lambda what, share: advance(round(share * 100), 100, what))
    console.out.print(evaluation.as_markdown(), markup=False)
    console.say(f"written to {output.absolute()}")
