"""The ranking heads in numpy, for the hot path: a few hundred candidates, where torch's call overhead would dominate.

C candidates, D width, F features, K heads. A test holds that both give the same scores.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.model.heads import HEAD_VALUES, Head, RankingHeads

Floats = NDArray[np.float32]

_LOG_VALUES = np.log(np.array([HEAD_VALUES[head] for head in Head], dtype=np.float32))  # (K,)


@dataclass(frozen=True)
class HeadWeights:
    """Weights of `RankingHeads` as arrays, each transposed for row vectors."""

    features: Floats
    features_bias: Floats
    product: Floats
    out: Floats
    out_bias: Floats
    direct: Floats
    scale: Floats

    @classmethod
    def of(cls, heads: RankingHeads) -> "HeadWeights":
        """Copies of the module's weights."""
        return cls(
            features=_array(heads.features.weight).T.copy(),
            features_bias=_array(heads.features.bias),
            product=_array(heads.product.weight).T.copy(),
            out=_array(heads.out.weight).T.copy(),
            out_bias=_array(heads.out.bias),
            direct=_array(heads.direct.weight).T.copy(),
            scale=_array(heads.scale),
        )

    def scores(self, user: Floats, items: Floats, match: Floats, features: Floats) -> Floats:
        """Final scores (C,) of one user (D,) for items (C, D) with retrieval logits (C,) and features (C, F)."""
        hidden = np.maximum(features @ self.features + self.features_bias + (items * user) @ self.product, 0.0)
        logits = match[:, None] * self.scale + hidden @ self.out + self.out_bias + features @ self.direct  # (C, K)
        scores: Floats = (_log_value(logits) - _log_value(-logits)).astype(np.float32)  # as `heads.ranking_score`
        return scores


def _log_value(logits: Floats) -> Floats:
    """Log of the sum over heads of value times probability, of logits (C, K): (C,)."""
    parts = -np.logaddexp(0.0, -logits) + _LOG_VALUES  # (C, K)
    top = parts.max(axis=1, keepdims=True)
    summed: Floats = np.log(np.exp(parts - top).sum(axis=1)) + top[:, 0]
    return summed


def _array(tensor: object) -> Floats:
    array: Floats = tensor.detach().cpu().numpy().astype(np.float32)  # type: ignore[attr-defined]
    return array
