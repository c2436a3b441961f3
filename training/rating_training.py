"""Training of the rating head: the expected rating of an item by a user, by squared error.

The newest tenth of the rows is held out and says when to stop. R rows, D width, N items.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from contracts.errors import NotEnoughData
from training.data.histories import frozen_users
from training.data.rating_rows import RatingAverages, RatingRows, rating_inputs
from training.model.fusion import FusionTransformer
from training.model.user_heads import RatingHead
from training.user_head_training import HeadLoop, UserExits, fit_head

LEAST_ROWS = 50
LOOP = HeadLoop(epochs=40, patience=5, batch=1024, learning_rate=2e-3, weight_decay=0.02)


@dataclass(frozen=True)
class RatingModel:
    """A fitted head with the towers and the item vectors (N, D) and id rows (N,) that it reads.

    `held_out_rmse` is in the unit of the ratings; `epochs` is how many it took.
    """

    model: FusionTransformer
    vectors: Tensor
    ids: Tensor
    head: RatingHead
    held_out_rmse: float
    epochs: int

    def expected(self, rows: RatingRows) -> NDArray[np.float64]:
        """Expected ratings of the rows, (R,)."""
        users = frozen_users(self.model, self.vectors, rows.histories)  # (R, D)
        inputs = rating_inputs(self.model, self.vectors, self.ids, rows, users)
        with torch.no_grad():
            given: NDArray[np.float64] = self.head(inputs).double().numpy()
        return given


def train_rating(
    model: FusionTransformer,
    items: tuple[Tensor, Tensor],
    rows: RatingRows,
    averages: RatingAverages,
    seed: int,
    *,
    held: Tensor | None = None,
    tune_towers: bool = False,
    loop: HeadLoop = LOOP,
) -> RatingModel:
    """Fits a rating head; it starts as mean, item bias and shrunken user bias.

    Args:
        model: Towers on the CPU.
        items: Item vectors (N, D) and id rows (N,).
        rows: What to learn, oldest first.
        averages: Of the same ratings.
        seed: Of order and first weights.
        held: (R,) bool, rows that say when to stop; the newest tenth when None.
        tune_towers: Whether a copy of the user tower learns too.
        loop: How to fit.

    Raises:
        NotEnoughData: fewer than `LEAST_ROWS` rows.
    """
    if len(rows) < LEAST_ROWS:
        raise NotEnoughData(f"found {len(rows)} ratings; expected at least {LEAST_ROWS}; collect ratings for longer")
    vectors, ids = items
    torch.manual_seed(seed)
    head = RatingHead(vectors.shape[1], model.config.content.id_rows, averages.mean)
    with torch.no_grad():
        head.item_bias.weight[ids, 0] = torch.from_numpy(averages.item_bias)
        head.item_bias.weight[0] = 0.0
    exits = UserExits(model, vectors, rows.histories, tune_towers)
    start = rating_inputs(model, vectors, ids, rows, exits.fixed(torch.arange(len(rows))))

    def loss(places: Tensor, users: Tensor) -> Tensor:
        inputs = start.rows(places)
        if tune_towers:
            match = exits.model.pair_logits(users, inputs.items, inputs.ids)  # (P,)
            inputs = replace(inputs, users=users, match=match)
        return functional.mse_loss(head(inputs), rows.values[places])

    newest = torch.arange(len(rows)) >= len(rows) - max(1, len(rows) // 10)
    lowest, epochs = fit_head(head, exits, loss, newest if held is None else held, loop, seed)
    return RatingModel(exits.model.eval(), vectors, ids, head, lowest**0.5, epochs)
