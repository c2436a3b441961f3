"""The user tower as an ONNX graph: traced once an architecture, with the weights as inputs of the graph.

Tracing costs a tenth of a second and a version comes every few seconds, so versions share the graph: new weights are
given to it by name. A file of its own has the weights in it. B users, T interactions, D width; B and T are dynamic.

1. A copy of the tower is traced with random weights: equal ones would be merged into one by the exporter.
2. The graph is kept by architecture.
"""

import copy
import tempfile
import threading
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.model.fusion import FusionTransformer

OPSET = 18
INPUTS = ("items", "kinds", "gaps", "lengths")
OUTPUT = "users"
_PREFIX = "tower."
_TRACED_LENGTH = 3

Architecture = tuple[object, ...]
"""What decides a graph: the block, the heads, and names and shapes of the weights."""

_graphs: dict[Architecture, bytes] = {}
_tracing = threading.Lock()


class _AtLastPosition(nn.Module):
    """What is exported: the tower, read at each user's own last position."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, items: Tensor, kinds: Tensor, gaps: Tensor, lengths: Tensor) -> Tensor:
        """Unit user vectors (B, D)."""
        users: Tensor = self.tower(items, kinds, gaps)  # (B, T + 1, D)
        places = lengths.view(-1, 1, 1).expand(-1, 1, users.shape[2])  # (B, 1, D)
        return users.gather(1, places).flatten(1)


def user_tower_graph(model: FusionTransformer) -> bytes:
    """The graph of all models of this architecture: `INPUTS` and the weights in, `OUTPUT` (B, D) out.

    Args:
        model: In evaluation mode, on the CPU.
    """
    architecture = architecture_of(model)
    with _tracing:
        if architecture not in _graphs:
            _graphs[architecture] = _traced(model)  # 2
        return _graphs[architecture]


def weights_of(model: FusionTransformer) -> dict[str, NDArray[np.float32]]:
    """The user tower's weights by their names in the graph; they share the model's memory."""
    return {f"{_PREFIX}{name}": tensor.detach().numpy() for name, tensor in model.user_tower.state_dict().items()}


def user_tower_file(model: FusionTransformer) -> bytes:
    """A whole ONNX file: the graph with the model's weights in it, which the runtime may fold and pack."""
    graph = onnx.load_model_from_string(user_tower_graph(model))
    histories = [given for given in graph.graph.input if given.name in INPUTS]
    del graph.graph.input[:]
    graph.graph.input.extend(histories)
    graph.graph.initializer.extend(
        onnx.numpy_helper.from_array(weight, name) for name, weight in weights_of(model).items()
    )
    written: bytes = graph.SerializeToString()
    return written


def architecture_of(model: FusionTransformer) -> Architecture:
    """What models share a graph by."""
    shapes = tuple((name, tuple(weight.shape)) for name, weight in model.user_tower.state_dict().items())
    heads = tuple(getattr(block, "heads", 0) for block in model.user_tower.blocks)
    return (str(model.config.block), heads, shapes)


def _traced(model: FusionTransformer) -> bytes:
    exported = _AtLastPosition(copy.deepcopy(model.user_tower)).eval()
    generator = torch.Generator().manual_seed(0)
    for weight in exported.parameters():
        nn.init.normal_(weight, std=0.1, generator=generator)  # 1
    rows = torch.zeros((2, _TRACED_LENGTH), dtype=torch.int64)
    histories = torch.randn((2, _TRACED_LENGTH, model.config.width), generator=generator)
    axes = {name: {0: "users", 1: "interactions"} for name in INPUTS[:3]}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        written = Path(folder) / "user_tower.onnx"
        # The newer exporter needs packages of its own and fixes the length where the tower compares positions.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            exported,
            (histories, rows, rows, torch.tensor([_TRACED_LENGTH, 1])),
            written,
            dynamo=False,
            export_params=False,
            do_constant_folding=False,
            opset_version=OPSET,
            input_names=list(INPUTS),
            output_names=[OUTPUT],
            dynamic_axes={**axes, INPUTS[3]: {0: "users"}, OUTPUT: {0: "users"}},
        )
        return written.read_bytes()
