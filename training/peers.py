"""What the workers of one training tell each other beside gradients: small numbers, over the CPU.

A group of its own over gloo where the gradients travel by NCCL, so that an exchange never waits for the device. Alone,
every exchange is the identity. W workers.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn


class Peers:
    """The workers of one training; every method is called by all of them, in the same order.

    Args:
        rank: Which of them this is.
        world: How many there are; with more than one `torch.distributed` is initialised.
    """

    def __init__(self, rank: int, world: int) -> None:
        self.rank = rank
        self.world = world
        self._group = None
        if world > 1:
            own = distributed.get_backend() != "gloo"
            self._group = distributed.new_group(backend="gloo") if own else distributed.group.WORLD

    def rows(self, values: Sequence[float]) -> NDArray[np.float64]:
        """What each worker gave, shape (W, len(values)); all give as many."""
        mine = torch.tensor(values, dtype=torch.float64)
        if self.world == 1:
            return mine.unsqueeze(0).numpy()
        every = [torch.empty_like(mine) for _ in range(self.world)]
        distributed.all_gather(every, mine, group=self._group)
        return torch.stack(every).numpy()

    def least(self, value: float) -> float:
        """The lowest of the workers' values."""
        return float(self.rows([value]).min())

    def total(self, value: float) -> float:
        """The sum of the workers' values."""
        return float(self.rows([value]).sum())

    def from_first(self, compute: Callable[[], float]) -> float:
        """Worker 0's answer, on all: computed once, so that no difference in rounding parts the workers."""
        value = compute() if self.rank == 0 else 0.0
        return float(self.rows([value])[0, 0])

    def weights_from_first(self, module: nn.Module) -> None:
        """Gives every worker's module, on the CPU, the weights of worker 0's."""
        if self.world > 1:
            for tensor in module.state_dict().values():
                distributed.broadcast(tensor, src=0, group=self._group)

    def tensor_from_first(self, tensor: Tensor) -> Tensor:
        """Worker 0's tensor on the CPU, on all; each gives one of that shape and type, which is overwritten."""
        if self.world > 1:
            distributed.broadcast(tensor, src=0, group=self._group)
        return tensor

    def gathered(self, value: Any) -> list[Any]:
        """Every worker's object, by rank, on all workers."""
        if self.world == 1:
            return [value]
        every: list[Any] = [None] * self.world
        distributed.all_gather_object(every, value, group=self._group)
        return every
