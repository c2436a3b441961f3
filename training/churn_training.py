"""Training of the churn head: whether a user makes no purchase within a horizon, as a calibrated probability.

A fifth of the users is held out; they say when to stop and fit the calibration. R rows, D width, N items.
"""

import zlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from contracts.errors import NotEnoughData
from training.data.churn_rows import ChurnRows
from training.data.histories import frozen_users
from training.model.fusion import FusionTransformer
from training.model.user_heads import ChurnHead
from training.probabilities import platt
from training.user_head_training import HeadLoop, UserExits, fit_head

HELD_OUT = 5
"""One user in this many is held out, by a hash of the id: the same user at every cut."""

LEAST_ROWS = 50


@dataclass(frozen=True)
class ChurnModel:
    """A fitted head with the towers that it reads.

    Attributes:
        model: Towers, in evaluation mode.
        vectors: (N, D) item vectors.
        head: Calibrated head.
        held_out_loss: Log loss of the held-out users before calibration, nats.
        epochs: Epochs until the held-out loss no longer fell.
    """

    model: FusionTransformer
    vectors: Tensor
    head: ChurnHead
    held_out_loss: float
    epochs: int

    def probabilities(self, rows: ChurnRows, *, calibrated: bool = True) -> NDArray[np.float64]:
        """Probability that each row's user makes no purchase within the horizon; (R,)."""
        users = frozen_users(self.model, self.vectors, rows.histories)  # (R, D)
        with torch.no_grad():
            raw = torch.sigmoid(self.head.logits(users, rows.recency))  # (R,)
            given: NDArray[np.float64] = (self.head(users, rows.recency) if calibrated else raw).double().numpy()
        return given


def train_churn(
    model: FusionTransformer,
    vectors: Tensor,
    rows: ChurnRows,
    seed: int,
    *,
    tune_towers: bool = False,
    loop: HeadLoop | None = None,
) -> ChurnModel:
    """Fits and calibrates a churn head.

    Args:
        model: Towers on the CPU, best of a training that ended before the last cut's horizon began.
        vectors: (N, D) item vectors.
        rows: Labelled rows, from cuts whose horizons are over.
        seed: Of order, dropout and first weights.
        tune_towers: Whether a copy of the user tower learns too.
        loop: How to fit; the defaults when None.

    Raises:
        NotEnoughData: fewer than `LEAST_ROWS` rows, or only one outcome among the users learned from or held out.
    """
    held = torch.tensor([zlib.crc32(user.encode()) % HELD_OUT == 0 for user in rows.users])  # (R,)
    _check(rows, held)
    torch.manual_seed(seed)
    head = ChurnHead(vectors.shape[1])
    head.standardise(rows.recency[~held])
    exits = UserExits(model, vectors, rows.histories, tune_towers)

    def loss(places: Tensor, users: Tensor) -> Tensor:
        logits = head.logits(users, rows.recency[places])  # (P,)
        return functional.binary_cross_entropy_with_logits(logits, rows.gone[places])

    held_loss, epochs = fit_head(head, exits, loss, held, loop or HeadLoop(), seed)
    judged = held.nonzero().squeeze(1)
    with torch.no_grad():
        logits = head.logits(exits.fixed(judged), rows.recency[judged])  # (held-out rows,)
    slope, shift = platt(logits, rows.gone[judged])
    head.slope.fill_(slope)
    head.shift.fill_(shift)
    return ChurnModel(exits.model.eval(), vectors, head, held_loss, epochs)


def _check(rows: ChurnRows, held: Tensor) -> None:
    both = all(0 < float(part.sum()) < len(part) for part in (rows.gone[held], rows.gone[~held]))
    if len(rows.users) < LEAST_ROWS or not both:
        raise NotEnoughData(
            f"found {len(rows.users)} users at cuts, {int(rows.gone.sum())} of them gone; expected at least "
            f"{LEAST_ROWS}, with both outcomes also among the {int(held.sum())} held out; collect events for longer or "
            "choose a shorter horizon"
        )
