"""Full rankings of many users at once: where each target stands among all items, ties counted against the ranker.

A scorer gives blocks of (B, N) scores; only ranks, the best items and (of logits) probabilities are kept.
B users a block, U users, N items, P pairs of a user and a target, K depth of the kept lists.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.errors import ModelError
from training.evaluation.protocol import TestUser

Integers = NDArray[np.int64]
Reals = NDArray[np.float64]
BlockScorer = Callable[[Sequence[TestUser]], NDArray[np.float32]]
"""Users to scores of all items: (B, N) float32, higher is better. Reads histories and times, never the targets."""

DEPTH = 20
BLOCK_SCORES = 8_000_000
"""Scores in memory at once: 32 MB of float32."""


@dataclass(frozen=True)
class Ranking:
    """How one ranker ordered all items for U users.

    Attributes:
        owner: (P,) user of each target, ascending.
        item: (P,) the target.
        rank: (P,) its place from 1; targets of one user have different places.
        targets: (U,) number of targets of each user.
        candidates: (U,) number of items ranked for each user.
        best: (U, K) items of the first K places; -1 where fewer are ranked.
        log_probability: (P,) log of the softmax over a user's candidates at the target; None when scores are no logits.
        confidence: (U,) probability of the first item; None likewise.
    """

    owner: Integers
    item: Integers
    rank: Integers
    targets: Integers
    candidates: Integers
    best: Integers
    log_probability: Reals | None = None
    confidence: Reals | None = None


def rank_targets(
    scorer: BlockScorer,
    users: Sequence[TestUser],
    without_history: bool,
    *,
    logits: bool = False,
    depth: int = DEPTH,
    told: Callable[[float], None] = lambda share: None,
) -> Ranking:
    """Ranks all items for all users.

    A target's place is one more than the other candidates with at least its score, so that a ranker that cannot tell
    items apart gains nothing (Krichene & Rendle 2020 rank so; optimistic ties flatter counts with many zeros). Targets
    of equal score stand one after another behind the others of that score.

    Args:
        scorer: Gives the blocks.
        users: Whom to rank for; a target always stays in the ranking, also when the history has it.
        without_history: Whether the other items of the history leave the ranking.
        logits: Whether the scores are logits of a softmax over the items.
        depth: K.
        told: Called with the share done.

    Raises:
        ModelError: the scorer gave a block of another shape, or a NaN.
    """
    parts: list[Ranking] = []
    size, done = 1, 0
    while done < len(users):
        part = users[done : done + size]
        scores = _checked(scorer(part), len(part))
        size = max(1, BLOCK_SCORES // scores.shape[1])
        parts.append(_block(scores, part, without_history, logits, depth))
        done += len(part)
        told(done / len(users))
    return joined(parts)


def _checked(scores: NDArray[np.float32], rows: int) -> NDArray[np.float32]:
    if scores.ndim != 2 or len(scores) != rows or np.isnan(scores).any():
        raise ModelError(
            f"found scores of shape {scores.shape} with {int(np.isnan(scores).sum())} NaN for {rows} users; expected "
            f"({rows}, number of items) without NaN; the ranker's weights or features are broken: train again"
        )
    return np.array(scores, dtype=np.float32)  # A copy: history items are struck out of it.


def _block(
    scores: NDArray[np.float32], users: Sequence[TestUser], without_history: bool, logits: bool, depth: int
) -> Ranking:
    wanted = [np.fromiter(user.targets, dtype=np.int64) for user in users]
    counts = np.array([len(items) for items in wanted], dtype=np.int64)  # (B,)
    owner = np.repeat(np.arange(len(users)), counts)  # (P,)
    item = np.concatenate(wanted)  # (P,)
    own = scores[owner, item]  # (P,)
    candidates = np.full(len(users), scores.shape[1], dtype=np.int64)
    if without_history:
        rows = np.repeat(np.arange(len(users)), [len(user.history) for user in users])
        scores[rows, np.concatenate([user.history.items for user in users])] = -np.inf
        scores[owner, item] = own
        candidates = np.isfinite(scores).sum(1).astype(np.int64)
    probability, confidence = _softmax(scores, owner, own) if logits else (None, None)
    best = _best(scores, depth)
    scores[owner, item] = np.nan  # A comparison with NaN is False: targets are counted apart.
    above = _at_least(scores, owner, own)  # (P,)
    return Ranking(
        owner, item, 1 + above + _targets_before(owner, own), counts, candidates, best, probability, confidence
    )


def _at_least(scores: NDArray[np.float32], owner: Integers, own: NDArray[np.float32]) -> Integers:
    above = np.empty(len(owner), dtype=np.int64)
    step = max(1, BLOCK_SCORES // scores.shape[1])
    alone = len(owner) == len(scores)
    for start in range(0, len(owner), step):
        pairs = slice(start, start + step)
        rows = scores[pairs] if alone else scores[owner[pairs]]
        above[pairs] = np.count_nonzero(rows >= own[pairs, None], axis=1)
    return above


def _targets_before(owner: Integers, own: NDArray[np.float32]) -> Integers:
    """(P,) number of the same user's targets with a higher score, or an equal one and listed earlier."""
    order = np.lexsort((np.arange(len(owner)), -own, owner))
    starts = np.searchsorted(owner, owner)  # (P,) place of the owner's first pair; owners ascend
    before = np.empty(len(owner), dtype=np.int64)
    before[order] = np.arange(len(owner)) - starts[order]
    return before


def _best(scores: NDArray[np.float32], depth: int) -> Integers:
    k = min(depth, scores.shape[1])
    chosen = np.argpartition(-scores, k - 1, axis=1)[:, :k] if k < scores.shape[1] else _all_columns(scores)
    values = np.take_along_axis(scores, chosen, 1)  # (B, K)
    order = np.lexsort((chosen, -values), axis=1)
    best: Integers = np.take_along_axis(chosen, order, 1)
    best[~np.isfinite(np.take_along_axis(values, order, 1))] = -1
    return best


def _all_columns(scores: NDArray[np.float32]) -> Integers:
    return np.broadcast_to(np.arange(scores.shape[1]), scores.shape).copy()


def _softmax(scores: NDArray[np.float32], owner: Integers, own: NDArray[np.float32]) -> tuple[Reals, Reals]:
    highest = scores.max(axis=1)  # (B,)
    total = np.exp(scores - highest[:, None]).sum(axis=1, dtype=np.float64)  # (B,)
    return (own - highest[owner]).astype(np.float64) - np.log(total)[owner], 1.0 / total


def joined(parts: Sequence[Ranking]) -> Ranking:
    """Rankings of different users as one, in their order."""
    users = np.cumsum([0, *(len(part.targets) for part in parts)])

    def column(name: str) -> NDArray[np.int64]:
        return np.concatenate([getattr(part, name) for part in parts])

    logits = parts[0].confidence is not None
    return Ranking(
        owner=np.concatenate([part.owner + first for part, first in zip(parts, users[:-1], strict=True)]),
        item=column("item"),
        rank=column("rank"),
        targets=column("targets"),
        candidates=column("candidates"),
        best=column("best"),
        log_probability=column("log_probability").astype(np.float64) if logits else None,
        confidence=column("confidence").astype(np.float64) if logits else None,
    )
