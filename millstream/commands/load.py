"""`millstream load CATALOGUE`: a shop's own products onto the log."""

from pathlib import Path
from typing import Annotated

import typer

from contracts.settings import settings
from millstream import console
from millstream.sources.catalogue import read_catalogue
from millstream.sources.publish import publish_items
from millstream.sources.rejects import Rejects
from millstream.stack.state import require_stack

Catalogue = Annotated[
    Path,
    typer.Argument(help="JSONL, CSV or Parquet, one product a row; pictures by path beside it (column `picture`)."),
]


def load(catalogue: Catalogue) -> None:
    """Load a shop's products; they are searchable within seconds."""
    given = settings()
    if given.embedded_broker:
        require_stack(given)
    rejects = Rejects(given.state_dir / "rejects" / f"{catalogue.stem}.jsonl")
    with console.step(f"Loading {catalogue.name}") as advance:
        loaded = publish_items(given, read_catalogue(catalogue, given, rejects), advance)
    console.say(f"{loaded} items loaded")
    rejects.report(console.say)
