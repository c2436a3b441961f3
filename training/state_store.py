"""Where the towers' trainings of one run keep their states, and what of a running training goes into them.

A run trains the towers several times (`training/batch.py`, stages 1, 3 and 5). Each has a directory of its own, in the
order in which they begin; a restarted run passes through the finished ones without training.
"""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from training import train_state
from training.peers import Peers
from training.sharding import like, unwrapped, whole
from training.train_state import Fingerprint, Position, TrainState


@dataclass
class StateStore:
    """The states of one run.

    Attributes:
        directory: One directory a training below it.
        every_s: Seconds between two states, by worker 0's clock; 0 saves after every step.
        saved: Called on every worker once worker 0 has saved: hands the directory on to whatever keeps it.
    """

    directory: Path
    every_s: float = 60.0
    saved: Callable[[], None] = lambda: None
    _begun: int = field(default=0, init=False)

    def next_training(self) -> Path:
        """The directory of the training that begins."""
        self._begun += 1
        return self.directory / f"training-{self._begun}"


@dataclass(frozen=True)
class Running:
    """What changes while a training runs: the module, its optimizer, the best weights so far, the position."""

    step: nn.Module
    optimizer: torch.optim.Optimizer
    best: dict[str, Tensor]
    position: Position


def capture(running: Running, peers: Peers, device: torch.device) -> TrainState | None:
    """The whole state on worker 0, None on the others; all workers call it, for shards are gathered."""
    weights = {name: _kept(tensor, peers) for name, tensor in unwrapped(running.step).state_dict().items()}
    best = {name: _kept(tensor, peers) for name, tensor in running.best.items()}
    optimizer = running.optimizer.state_dict()
    optimizer["state"] = {
        place: {name: _kept(value, peers) if isinstance(value, Tensor) else value for name, value in entry.items()}
        for place, entry in optimizer["state"].items()
    }
    generators = peers.gathered(generator_states(device))
    if peers.rank != 0:
        return None
    return TrainState(running.position, weights, best, optimizer, generators)


def restore(state: TrainState, running: Running, peers: Peers, device: torch.device) -> None:
    """Puts a state into a training that was built anew, sharded or not; each worker takes its own generators.

    A worker that was not there when the state was saved keeps the generators that it has.
    """
    module = unwrapped(running.step)
    load_weights(module, state.weights)
    shapes = module.state_dict()
    running.best.clear()
    running.best.update({name: like(shapes[name], tensor) for name, tensor in state.best.items()})
    parameters = [parameter for group in running.optimizer.param_groups for parameter in group["params"]]
    entries = {
        place: {name: _shaped(value, parameters[place]) for name, value in entry.items()}
        for place, entry in state.optimizer["state"].items()
    }
    running.optimizer.load_state_dict({**state.optimizer, "state": entries})
    vars(running.position).update(vars(state.position))
    if peers.rank < len(state.generators):
        set_generator_states(state.generators[peers.rank], device)


def load_weights(module: nn.Module, weights: dict[str, Tensor]) -> None:
    """Loads whole weights into a module, sharded as it is."""
    shapes = module.state_dict()
    module.load_state_dict({name: like(shapes[name], tensor) for name, tensor in weights.items()})


def generator_states(device: torch.device) -> dict[str, Any]:
    """States of this process's random generators: torch on the CPU and on the device, NumPy's, Python's."""
    name, keys, *rest = np.random.get_state(legacy=True)
    version, words, gauss = random.getstate()
    states: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "numpy": [name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest],
        "python": [version, list(words), gauss],
    }
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def set_generator_states(states: dict[str, Any], device: torch.device) -> None:
    """Puts `generator_states` back."""
    torch.set_rng_state(states["torch"])
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words), gauss))
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)


def fingerprint(step: nn.Module, **settings: str | int | float) -> Fingerprint:
    """Names, shapes and types of the parameters, in one hash, and the settings that the loss curve depends on."""
    state = unwrapped(step).state_dict()
    words = [f"{name} {tuple(tensor.shape)} {tensor.dtype}" for name, tensor in state.items()]
    return {"parameters": hashlib.sha256("\n".join(words).encode()).hexdigest(), **settings}


def save(directory: Path, state: TrainState | None, of: Fingerprint, store: StateStore) -> None:
    """Saves on worker 0 and tells the store on all. Raises CheckpointNotSaved."""
    if state is not None:
        train_state.save(directory, state, of)
    store.saved()


def _kept(tensor: Tensor, peers: Peers) -> Tensor:
    gathered = whole(tensor.detach())
    return gathered.cpu() if peers.rank == 0 else gathered.new_empty(0)


def _shaped(value: Any, parameter: Tensor) -> Any:
    if isinstance(value, Tensor) and value.shape == parameter.shape and parameter.ndim:
        return like(parameter, value)
    return value
