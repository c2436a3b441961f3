"""The ranking heads: logits of click, cart and purchase from both vectors and the real-time features.

Each logit is the retrieval logit (scaled) plus a correction by a small network, so that an untrained head ranks as the
retrieval does. B users, C candidates, D width, F features.
"""

from enum import StrEnum

import torch
from torch import Tensor, nn

from training.model.features import HEAD_FEATURES


class Head(StrEnum):
    """The tasks, in the order of the logits."""

    CLICK = "click"
    CART = "cart"
    PURCHASE = "purchase"


HEAD_VALUES: dict[Head, float] = {Head.CLICK: 1.0, Head.CART: 1.0, Head.PURCHASE: 2.0}
"""What an outcome is worth in the final score, `ranking_score`."""


class RankingHeads(nn.Module):
    """Multi-task heads over shared hidden units: (B, D), (B, D), (B,), (B, F) -> (B, 3)."""

    def __init__(self, width: int, hidden: int = 48) -> None:
        super().__init__()
        self.features = nn.Linear(len(HEAD_FEATURES), hidden)
        self.product = nn.Linear(width, hidden, bias=False)
        self.out = nn.Linear(hidden, len(Head))
        self.scale = nn.Parameter(torch.ones(len(Head)))
        self.direct = nn.Linear(len(HEAD_FEATURES), len(Head), bias=False)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        nn.init.zeros_(self.direct.weight)

    def forward(self, users: Tensor, items: Tensor, match: Tensor, features: Tensor) -> Tensor:
        """Logits (B, 3) in the order of `Head`.

        Args:
            users: (B, D) float32 unit user vectors.
            items: (B, D) float32 unit item vectors.
            match: (B,) float32 retrieval logits.
            features: (B, F) float32, by `features.HEAD_FEATURES`.
        """
        hidden = torch.relu(self.features(features) + self.product(users * items))  # (B, hidden)
        logits: Tensor = match.unsqueeze(-1) * self.scale + self.out(hidden) + self.direct(features)  # (B, 3)
        return logits


def ranking_score(logits: Tensor) -> Tensor:
    """The final score of (B, 3) logits, (B,): log of the expected value over what the highest value lacks to it.

    The expected value is the sum over heads of value x probability. Its log would do as well, but for float32, which
    cannot tell items apart whose logits are above 16, and those are the ones that stand first.
    """
    values = torch.tensor([HEAD_VALUES[head] for head in Head], dtype=logits.dtype, device=logits.device).log()
    expected = torch.logsumexp(nn.functional.logsigmoid(logits) + values, dim=-1)  # (B,)
    lacking = torch.logsumexp(nn.functional.logsigmoid(-logits) + values, dim=-1)  # (B,)
    return expected - lacking
