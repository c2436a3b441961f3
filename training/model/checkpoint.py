"""A model on disk: `weights.safetensors` (weights, item matrix) and `model.json` (sizes, vocabulary, item facts).

Loading checks schema, feature names, shapes and finiteness, and answers anything wrong with `BadCheckpoint`: a
directory either is a whole model or is refused. N items, D width.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from contracts.errors import BadCheckpoint
from contracts.ids import ItemId
from contracts.ports import Vectors
from training.model.content import ContentShape
from training.model.features import HEAD_FEATURES, ItemFacts
from training.model.fusion import FusionConfig, FusionTransformer
from training.model.id_table import IdTable
from training.model.vocabulary import Vocabulary

SCHEMA = 2
WEIGHTS = "weights.safetensors"
DESCRIPTION = "model.json"
_MATRIX = "item_matrix"


@dataclass(frozen=True)
class Checkpoint:
    """What a version directory holds.

    Attributes:
        model: In evaluation mode, on the CPU.
        vocabulary: Items by index.
        facts: What the heads read of each item, by index.
        item_matrix: (N, D) float32 unit vectors by index, as the item tower gave them at publication.
        ids: Which items have a row of the id embedding.
    """

    model: FusionTransformer
    vocabulary: Vocabulary
    facts: tuple[ItemFacts, ...]
    item_matrix: Vectors
    ids: IdTable


def save(directory: Path, checkpoint: Checkpoint) -> None:
    """Writes both files into an existing directory; making them appear atomically is the model store's part."""
    description = {
        "schema": SCHEMA,
        "config": asdict(checkpoint.model.config),
        "features": list(HEAD_FEATURES),
        "items": list(checkpoint.vocabulary.ids),
        "ids": checkpoint.ids.state(),
        "facts": [[fact.category, fact.brand, fact.price_cents] for fact in checkpoint.facts],
    }
    tensors = {f"model.{name}": tensor.contiguous() for name, tensor in checkpoint.model.state_dict().items()}
    tensors[_MATRIX] = torch.from_numpy(np.ascontiguousarray(checkpoint.item_matrix, dtype=np.float32))
    save_file(tensors, directory / WEIGHTS)
    (directory / DESCRIPTION).write_text(json.dumps(description))


def load(directory: Path) -> Checkpoint:
    """Reads a version directory.

    Raises:
        BadCheckpoint: a file is missing or corrupt, or the model is of another schema.
    """
    try:
        description = json.loads((directory / DESCRIPTION).read_text())
        tensors = load_file(directory / WEIGHTS)
        return _checkpoint(directory, description, tensors)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        raise BadCheckpoint(
            f"found no whole model in {directory} ({type(error).__name__}: {error}); expected {WEIGHTS} and "
            f"{DESCRIPTION} of schema {SCHEMA}; keep the version in memory, and train again if none loads"
        ) from error


def _checkpoint(directory: Path, description: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Checkpoint:
    for name, expected in (("schema", SCHEMA), ("features", list(HEAD_FEATURES))):
        if description[name] != expected:
            raise BadCheckpoint(
                f"found {name}={description[name]!r} in {directory}; expected {expected!r}; "
                "this version was trained by other code: train again"
            )
    config = FusionConfig(**{**description["config"], "content": ContentShape(**description["config"]["content"])})
    matrix = tensors.pop(_MATRIX)
    vocabulary = Vocabulary(ItemId(item) for item in description["items"])
    if matrix.shape != (len(vocabulary), config.width) or len(description["facts"]) != len(vocabulary):
        raise BadCheckpoint(
            f"found an item matrix of {tuple(matrix.shape)} and {len(description['facts'])} facts in {directory}; "
            f"expected {(len(vocabulary), config.width)} and {len(vocabulary)}"
        )
    rows = description["ids"]["rows_in_all"]
    if rows != config.content.id_rows:
        raise BadCheckpoint(f"found a table of {rows} id rows in {directory}; expected {config.content.id_rows}")
    ids = IdTable.restored(description["ids"])
    if strangers := [item_id for item_id in ids if item_id not in vocabulary]:
        raise BadCheckpoint(f"found id rows of {strangers[:3]} in {directory}; expected those of its own items")
    if not all(bool(torch.isfinite(tensor).all()) for tensor in (matrix, *tensors.values())):
        raise BadCheckpoint(f"found weights that are not finite in {directory}; expected finite ones; train again")
    model = FusionTransformer(config)
    model.load_state_dict({name.removeprefix("model."): tensor for name, tensor in tensors.items()})
    model.eval()
    facts = tuple(ItemFacts(category, brand, price) for category, brand, price in description["facts"])
    return Checkpoint(model, vocabulary, facts, matrix.numpy(), ids)
