"""The order of the candidates: the model's ranking scores, best first; equal scores keep the order of the merge."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from contracts.features import ItemFeatures, UserFeatures
from contracts.ids import ItemId
from services.ranking.slot import LoadedModel
from services.retrieval.candidates import Merged
from training.model.serving import History


@dataclass(frozen=True)
class Ranked:
    """A candidate with the score that placed it."""

    candidate: Merged
    score: float


def by_model(
    loaded: LoadedModel,
    history: History,
    user: UserFeatures | None,
    candidates: Sequence[Merged],
    item_features: Callable[[ItemId], ItemFeatures | None],
    now_ms: int,
) -> list[Ranked]:
    """Ranks by the model's heads; runs in a worker thread, for it is arithmetic of milliseconds.

    Raises:
        ArithmeticError: a score is not finite.
    """
    ids = [candidate.item_id for candidate in candidates]
    scores = loaded.model.rank(history, user, ids, item_features, now_ms)  # (C,)
    if not np.isfinite(scores).all():
        bad = int((~np.isfinite(scores)).sum())
        raise ArithmeticError(f"found {bad} of {len(ids)} scores that are not finite; expected all finite")
    ranked = [Ranked(candidate, float(score)) for candidate, score in zip(candidates, scores, strict=True)]
    return sorted(ranked, key=lambda place: -place.score)


def by_merge(candidates: Sequence[Merged]) -> list[Ranked]:
    """Ranks by the fused score of the sources: what is left when there is no model."""
    return [Ranked(candidate, candidate.score) for candidate in candidates]
