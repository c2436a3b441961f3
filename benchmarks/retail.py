"""Online Retail as the benchmarks read it: positive quantities, no cancellations, known customers, five-digit codes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from contracts.clock import to_ms
from contracts.errors import BadInput
from contracts.events import EventKind, Purchase
from contracts.ids import ExampleId
from millstream.sources.online_retail import OnlineRetail
from millstream.sources.rejects import Rejects
from training.data.archive_set import TrainingSet, training_set
from training.data.sequences import ExampleRow
from training.model.content import ItemContent

FILE = Path(__file__).resolve().parents[2] / "shared" / "data" / "online_retail" / "online_retail.parquet"


@dataclass(frozen=True)
class Retail:
    """The set, and its lines as a frame: user, item, at_ms, quantity, price_cents, in the file's order."""

    training_set: TrainingSet
    lines: pd.DataFrame


def load(scratch: Path, file: Path = FILE) -> Retail:
    """Reads the log.

    Args:
        scratch: Folder for the rows that were refused.
        file: The Parquet file.

    Raises:
        BadInput: the file is not there.
    """
    if not file.exists():
        raise BadInput(f"found no {file}; expected UCI Online Retail as Parquet; place it there")
    scratch.mkdir(parents=True, exist_ok=True)
    source = OnlineRetail(file, Rejects(scratch / "rejects.jsonl"))
    bought = [event for event in source.events() if isinstance(event, Purchase) and event.quantity > 0]
    rows = [
        ExampleRow(ExampleId(event.event_id), event.user_id, event.item_id, to_ms(event.at), EventKind.PURCHASE)
        for event in bought
    ]
    contents = [ItemContent(item, None, None) for item in source.items()]
    lines = pd.DataFrame(
        {
            "user": [event.user_id for event in bought],
            "item": [event.item_id for event in bought],
            "at_ms": np.array([row.at_ms for row in rows], dtype=np.int64),
            "quantity": [event.quantity for event in bought],
            "price_cents": [event.price_cents or 0 for event in bought],
        }
    )
    return Retail(training_set(contents, rows, where=str(file)), lines)
