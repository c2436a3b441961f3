"""Heads beside the ranking heads, over the same towers: an expected rating, and the probability of not coming back.

Both start as their own simplest model (biases; a constant) and learn what the vectors add to it. B rows, D width,
T past ratings, F numbers of `recency.RECENCY_FEATURES`, N items.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.model.recency import RECENCY_FEATURES


@dataclass(frozen=True)
class RatingInputs:
    """What the rating head reads of B pairs of a user at a time and an item.

    Attributes:
        users: (B, D) float32 unit user vectors, of the interactions before the rating.
        items: (B, D) float32 unit item vectors.
        match: (B,) float32 retrieval logits.
        ids: (B,) int64 id rows of the items; 0 for an item without one.
        taste: (B, D) float32, from `taste`; zeros for a user who has rated nothing.
        residual_sum: (B,) float32 sum over the user's past ratings of their distance from mean and item bias.
        rated: (B,) float32 number of past ratings.
    """

    users: Tensor
    items: Tensor
    match: Tensor
    ids: Tensor
    taste: Tensor
    residual_sum: Tensor
    rated: Tensor

    def rows(self, places: Tensor) -> "RatingInputs":
        """The rows at the given places (P,)."""
        return RatingInputs(*(getattr(self, name)[places] for name in self.__dataclass_fields__))


def taste(vectors: Tensor, residuals: Tensor) -> Tensor:
    """The user's liking in item space: vectors (B, T, D) of rated items weighed by residuals (B, T) -> (B, D).

    The first sum of Koren, "Factorization meets the neighborhood" (2008), eq. 15 (asymmetric SVD): residuals over the
    root of their number. Places without a rating bear a residual of 0. We take the item tower's vectors for its x_j.
    """
    rated = (residuals != 0).sum(1, keepdim=True).clamp(min=1)  # (B, 1)
    return (residuals.unsqueeze(-1) * vectors).sum(1) / rated.sqrt()  # (B, D)


class RatingHead(nn.Module):
    """Expected rating: `RatingInputs` of B pairs -> (B,), in the unit of the ratings.

    Mean plus biases plus interaction as Koren, Bell & Volinsky, "Matrix factorization techniques" (2009), eq. 4. We
    differ in two parts: the user's bias is the shrunken mean of past residuals with a learned shrinkage (Koren 2008,
    sec. 2.1), so that it exists for a user who was not trained on; the interaction reads the towers' vectors.
    """

    def __init__(self, width: int, id_rows: int, mean: float, hidden: int = 32) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.tensor(float(mean)))
        self.item_bias = nn.Embedding(id_rows + 1, 1, padding_idx=0)
        nn.init.zeros_(self.item_bias.weight)
        self.log_shrinkage = nn.Parameter(torch.tensor(2.0))
        self.like = nn.Linear(width, width, bias=False)
        nn.init.eye_(self.like.weight)
        self.liking = nn.Parameter(torch.tensor(0.0))
        self.product = nn.Linear(2 * width + 1, hidden)
        self.out = nn.Linear(hidden, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, pairs: RatingInputs) -> Tensor:
        """Expected ratings (B,) float32; without any training the biases alone."""
        user_bias = pairs.residual_sum / (pairs.rated + self.log_shrinkage.exp())  # (B,)
        item_bias = self.item_bias(pairs.ids).squeeze(-1)  # (B,)
        liked = self.liking * (self.like(pairs.items) * pairs.taste).sum(-1)  # (B,)
        seen = [pairs.users * pairs.items, pairs.taste * pairs.items, pairs.match.unsqueeze(-1)]
        fitted = self.out(torch.relu(self.product(torch.cat(seen, dim=-1)))).squeeze(-1)  # (B,)
        expected: Tensor = self.mean + user_bias + item_bias + liked + fitted  # (B,)
        return expected


class ChurnHead(nn.Module):
    """Probability of no purchase within the horizon: user vectors (B, D) and recency numbers (B, F) -> (B,).

    `slope` and `shift` map the logit to a calibrated one (Platt 1999; a slope alone is the temperature of Guo et al.
    2017); they are fitted to held-out users, never by the head's own training.
    """

    mean: Tensor
    deviation: Tensor
    slope: Tensor
    shift: Tensor

    def __init__(self, width: int, hidden: int = 16, dropout: float = 0.2) -> None:
        super().__init__()
        numbers = len(RECENCY_FEATURES)
        for name, value in (("mean", torch.zeros(numbers)), ("deviation", torch.ones(numbers))):
            self.register_buffer(name, value)
        for name, start in (("slope", 1.0), ("shift", 0.0)):
            self.register_buffer(name, torch.tensor(start))
        self.direct = nn.Linear(numbers, 1)
        self.recency = nn.Linear(numbers, hidden)
        self.user = nn.Linear(width, hidden, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden, 1, bias=False)
        for weights in (self.direct.weight, self.direct.bias, self.out.weight):
            nn.init.zeros_(weights)

    def standardise(self, recency: Tensor) -> None:
        """Takes mean and deviation of the numbers from training rows (B, F).

        A number that hardly varies in them (the days of a shop's age, at one cut) is not blown up: the numbers are
        logarithms, and 0.25 is a difference of a quarter.
        """
        self.mean.copy_(recency.mean(0))
        self.deviation.copy_(recency.std(0, correction=0).clamp(min=0.25))

    def logits(self, users: Tensor, recency: Tensor) -> Tensor:
        """Logits (B,) before calibration."""
        numbers = (recency - self.mean) / self.deviation  # (B, F)
        hidden = self.dropout(torch.relu(self.recency(numbers) + self.user(users)))  # (B, hidden)
        logits: Tensor = (self.direct(numbers) + self.out(hidden)).squeeze(-1)  # (B,)
        return logits

    def forward(self, users: Tensor, recency: Tensor) -> Tensor:
        """Calibrated probabilities (B,) in [0, 1]."""
        return torch.sigmoid(self.slope * self.logits(users, recency) + self.shift)
