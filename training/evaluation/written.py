"""An evaluation on disk, as a person and as a program reads it."""

from pathlib import Path

from training.evaluation.pictures import draw
from training.evaluation.report import Evaluation
from training.evaluation.table import markdown


def write(evaluation: Evaluation, directory: Path) -> None:
    """Writes `evaluation.json`, `evaluation.md` and the pictures beside them."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "evaluation.json").write_text(evaluation.as_json())
    (directory / "evaluation.md").write_text(markdown(evaluation))
    draw(evaluation, directory)
