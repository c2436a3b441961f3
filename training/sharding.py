"""Training with the parameters spread over the workers (FSDP2), for tables that do not fit on one of them.

Each worker keeps 1/W of every parameter, gradient and Adam moment; a block or a table is whole only while it is used,
in `fully_shard` of Zhao et al., "PyTorch FSDP" (2023). W workers.
"""

import copy
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from training.data.collate import SequenceBatch

TABLE_ROWS = 4096
"""Embedding tables of at least so many rows are gathered on their own; smaller ones travel with the rest of the model,
among them that of positions, which is read as a matrix and not by a call that could gather it."""


class ShardedStep(nn.Module):
    """A sharded copy of a step; the step itself stays whole where it is and learns the result at each `settle`.

    Args:
        step: A `TowerStep`; its weights are taken over.
        device: Where the shards live.
        table_rows: From how many rows an embedding table is a unit of its own.
    """

    def __init__(self, step: nn.Module, device: torch.device, table_rows: int = TABLE_ROWS) -> None:
        super().__init__()
        self._whole = (step,)  # in a tuple: no part of this module
        mesh = init_device_mesh(device.type, (distributed.get_world_size(),))
        self.module = skeleton(step)
        self._replicated = [name for name, parameter in step.named_parameters() if parameter.ndim == 0]
        scalars = {parameter for parameter in self.module.parameters() if parameter.ndim == 0}
        for unit in (*units(self.module, table_rows), self.module):
            fully_shard(unit, mesh=mesh, ignored_params=scalars)
        fill(self.module, step.state_dict(), device)

    def forward(self, batch: SequenceBatch) -> Tensor:
        """The step's loss."""
        loss: Tensor = self.module(batch)
        return loss

    def average_scalars(self) -> None:
        """Averages the gradients of the scalars, which are not sharded, over the workers; after each backward."""
        parameters = dict(self.module.named_parameters())
        scalars = [parameters[name] for name in self._replicated]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in scalars]
        if not gradients:
            return
        every = torch.stack(gradients)
        distributed.all_reduce(every)
        for parameter, gradient in zip(scalars, every / distributed.get_world_size(), strict=True):
            if parameter.grad is not None:
                parameter.grad.copy_(gradient)

    def settle(self) -> None:
        """Copies the weights into the whole step, on every worker."""
        whole_state = dict(self._whole[0].state_dict())
        for name, tensor in self.module.state_dict().items():
            gathered = whole(tensor)
            whole_state[name].copy_(gathered)


def skeleton(step: nn.Module) -> nn.Module:
    """A copy of a step with parameters that have shapes but no memory; what is no module is shared, not copied."""
    memo: dict[int, object] = {
        id(parameter): nn.Parameter(torch.empty_like(parameter, device="meta"), parameter.requires_grad)
        for parameter in step.parameters()
    }
    shared = [value for value in vars(step).values() if not isinstance(value, dict | set)]
    memo |= {id(value): value for value in shared}
    return copy.deepcopy(step, memo)


def units(module: nn.Module, table_rows: int) -> Iterable[nn.Module]:
    """What is gathered on its own: the members of module lists (a tower's blocks) and large embedding tables."""
    for part in module.modules():
        if isinstance(part, nn.ModuleList):
            yield from part
        elif isinstance(part, nn.Embedding) and part.num_embeddings >= table_rows:
            yield part


def fill(module: nn.Module, state: Mapping[str, Tensor], device: torch.device) -> None:
    """Gives a sharded skeleton the weights of a whole state; every worker keeps its part, nothing is sent."""
    shapes = dict(module.named_parameters())
    filled: dict[str, Tensor] = {}
    for name, tensor in state.items():
        filled[name] = like(shapes[name], tensor, device) if name in shapes else tensor.to(device)
        if name in shapes:
            filled[name] = nn.Parameter(filled[name], shapes[name].requires_grad)
    module.load_state_dict(filled, assign=True)


def like(parameter: Tensor, tensor: Tensor, device: torch.device | None = None) -> Tensor:
    """A whole tensor on the parameter's device, sharded as the parameter is."""
    moved = tensor.detach().to(device or parameter.device)
    if not isinstance(parameter, DTensor):
        return moved.clone()
    return distribute_tensor(moved, parameter.device_mesh, parameter.placements, src_data_rank=None)


def whole(tensor: Tensor) -> Tensor:
    """The whole of a tensor; where it is sharded, all workers call this in the same order."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def settle(step: nn.Module) -> None:
    """Brings a sharded step's weights into the step that it was made of; others have them already."""
    if isinstance(step, ShardedStep):
        step.settle()


def unwrapped(step: nn.Module) -> nn.Module:
    """The step with its own parameter names, without what wraps it for several workers."""
    if isinstance(step, ShardedStep | nn.parallel.DistributedDataParallel):
        inner: nn.Module = step.module
        return inner
    return step
