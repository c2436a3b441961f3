"""The loop that fits a head over the user tower: frozen exits (the default, seconds) or the tower tuned with the head.

Rows that are held out say when to stop. What is predicted is the caller's: see `churn_training`, `rating_training`.
R rows, P rows of one step, D width, N items.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.data.histories import Histories, frozen_users
from training.model.fusion import FusionTransformer

TOWER_RATE = 0.1
"""Learning rate of a tuned user tower, as a share of the head's."""


@dataclass(frozen=True)
class HeadLoop:
    """How to fit a head."""

    epochs: int = 60
    patience: int = 8
    batch: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 0.05


class UserExits:
    """User vectors of the rows: computed once by a frozen tower, or again at each step by a tuned copy of it.

    Args:
        model: Towers on the CPU; stays as it is.
        vectors: (N, D) item vectors, frozen in both ways.
        histories: R rows.
        tuned: Whether the user tower learns too.
    """

    def __init__(self, model: FusionTransformer, vectors: Tensor, histories: Histories, tuned: bool) -> None:
        self.model = copy.deepcopy(model) if tuned else model
        self.tuned = tuned
        self._vectors = vectors
        self._histories = histories
        self._frozen = None if tuned else frozen_users(model, vectors, histories)  # (R, D)

    def learned(self, places: Tensor) -> Tensor:
        """User vectors (P, D) of the rows at `places` for a step of training."""
        if self._frozen is not None:
            return self._frozen[places]
        self.model.train()
        return self._histories.rows(places).encode(self.model, self._vectors)

    def fixed(self, places: Tensor) -> Tensor:
        """User vectors (P, D) of the rows at `places` by the tower as it is now, without gradients or dropout."""
        if self._frozen is not None:
            return self._frozen[places]
        return frozen_users(self.model, self._vectors, self._histories.rows(places))

    def modules(self) -> list[nn.Module]:
        """What learns beside the head."""
        return [self.model.user_tower] if self.tuned else []


Loss = Callable[[Tensor, Tensor], Tensor]
"""Mean loss of the rows at places (P,) int64 with user vectors (P, D): a scalar."""


def fit_head(
    head: nn.Module, exits: UserExits, loss: Loss, held: Tensor, loop: HeadLoop, seed: int
) -> tuple[float, int]:
    """Fits a head and leaves it, and a tuned tower, at the weights with the lowest loss on the held-out rows.

    Args:
        head: Changed in place; ends in evaluation mode.
        exits: User vectors of all R rows.
        loss: What to lower; reads `head`.
        held: (R,) bool, rows that are not learned from.
        loop: How to fit.
        seed: Of the order of the rows.

    Returns:
        The lowest held-out loss and the epoch that it was reached in; 0 when no epoch lowered that of the start.
    """
    learning = nn.ModuleList([head, *exits.modules()])
    groups = [{"params": list(head.parameters()), "lr": loop.learning_rate}]
    groups += [{"params": list(m.parameters()), "lr": loop.learning_rate * TOWER_RATE} for m in exits.modules()]
    optimizer = torch.optim.AdamW(groups, weight_decay=loop.weight_decay)
    learned, judged = (~held).nonzero().squeeze(1), held.nonzero().squeeze(1)
    generator = torch.Generator().manual_seed(seed)

    def held_loss() -> float:
        learning.eval()
        with torch.no_grad():
            return float(loss(judged, exits.fixed(judged)))

    best, best_loss, best_epoch = copy.deepcopy(learning.state_dict()), held_loss(), 0
    for epoch in range(1, loop.epochs + 1):
        learning.train()
        for part in torch.split(learned[torch.randperm(len(learned), generator=generator)], loop.batch):
            step_loss = loss(part, exits.learned(part))
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(step_loss)
            optimizer.step()
        now = held_loss()
        if now < best_loss:
            best, best_loss, best_epoch = copy.deepcopy(learning.state_dict()), now, epoch
        elif epoch - best_epoch >= loop.patience:
            break
    learning.load_state_dict(best)
    exits.model.eval()
    learning.eval()
    return best_loss, best_epoch
