"""The user tower as an ONNX graph: exported once an architecture, filled with the weights of each version.

Tracing costs a tenth of a second and a version comes every few seconds, so the graph is traced with its weights as
inputs and kept; new weights are put in by name, in milliseconds. B users, T interactions, D width; B and T are dynamic.

1. A copy of the tower is traced with random weights: equal ones would be merged into one by the exporter.
2. The graph is kept by architecture.
3. A version's weights become initialisers, so that the runtime may fold and pack them.
"""

import copy
import io
import threading
import warnings

import onnx
import torch
from torch import Tensor, nn

from contracts.errors import ModelError
from training.model.fusion import FusionTransformer

OPSET = 18
INPUTS = ("items", "kinds", "gaps", "lengths")
OUTPUT = "users"
_PREFIX = "tower."
_TRACED_LENGTH = 3

Architecture = tuple[object, ...]
"""What decides a graph: the block, the heads, and names and shapes of the weights."""

_templates: dict[Architecture, bytes] = {}
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


def user_tower_onnx(model: FusionTransformer) -> onnx.ModelProto:
    """The user tower of a model as an ONNX graph with the weights in it.

    Args:
        model: In evaluation mode, on the CPU.

    Raises:
        ModelError: the graph does not have the model's weights as inputs; the exporter of this torch is not known.
    """
    return _filled(_template(model), model)


def _template(model: FusionTransformer) -> bytes:
    architecture = _architecture(model)
    with _tracing:
        known = _templates.get(architecture)
        if known is None:
            known = _templates[architecture] = _traced(model)  # 2
    return known


def _architecture(model: FusionTransformer) -> Architecture:
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
    written = io.BytesIO()
    with warnings.catch_warnings():
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
    return written.getvalue()


def _filled(template: bytes, model: FusionTransformer) -> onnx.ModelProto:
    graph = onnx.load_model_from_string(template)
    weights = {f"{_PREFIX}{name}": tensor for name, tensor in model.user_tower.state_dict().items()}
    wanted = {given.name for given in graph.graph.input} - set(INPUTS)
    if wanted != set(weights):
        raise ModelError(
            f"found a graph that asks for {sorted(wanted ^ set(weights))} otherwise than the model has it; expected "
            f"every weight once by its name; serve with serving_encoder=torch (torch {torch.__version__})"
        )
    histories = [given for given in graph.graph.input if given.name in INPUTS]
    del graph.graph.input[:]
    graph.graph.input.extend(histories)
    graph.graph.initializer.extend(
        onnx.numpy_helper.from_array(tensor.detach().cpu().numpy(), name) for name, tensor in weights.items()
    )  # 3
    return graph
