"""Where a ranker is good and where not: metrics over the targets of one kind. P pairs of user and target, N items.

A target keeps its place in the full ranking; only which targets are asked for changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.evaluation.metrics import ndcg, recall
from training.evaluation.protocol import TestUser
from training.evaluation.ranking import Ranking, Reals
from training.model.content import ContentTable

NEW_USER_INTERACTIONS = 3
"""A history up to this long is that of a new user."""

HEAD_SHARE = 0.33
"""Share of the interactions that the head items have (Cremonesi et al. 2010, sec. 3.1); all others are the tail."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class SliceScores:
    """Mean metrics of one ranker over one slice, and how many users and targets it has."""

    users: int
    targets: int
    ndcg_at_10: float
    recall_at_20: float


def slice_flags(users: Sequence[TestUser], counts: Reals, table: ContentTable) -> dict[str, Flags]:
    """Which pairs belong to each slice, (P,) in the order of `Ranking.owner`.

    Args:
        users: As they were ranked.
        counts: (N,) interactions of each item in what the rankers learned.
        table: Says which modalities an item has.
    """
    lengths = np.repeat([len(user.history) for user in users], [len(user.targets) for user in users])  # (P,)
    items = np.concatenate([np.fromiter(user.targets, dtype=np.int64) for user in users])  # (P,)
    present = table.tokens(items).present.numpy()  # (P, M)
    head = head_items(counts)[items]
    text, picture = present[:, 0], present[:, 1]
    attributes = present[:, 2:-1].any(axis=1)
    return {
        "new users": lengths <= NEW_USER_INTERACTIONS,
        "known users": lengths > NEW_USER_INTERACTIONS,
        "new items": counts[items] == 0,
        "head items": head,
        "tail items": ~head & (counts[items] > 0),
        "items with text": text,
        "items with a picture": picture,
        "items with attributes": attributes,
        "items without content": ~(text | picture | attributes),
    }


def head_items(counts: Reals) -> Flags:
    """(N,) the fewest items that together have `HEAD_SHARE` of the interactions."""
    order = np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    head = np.zeros(len(counts), dtype=np.bool_)
    head[order[before < HEAD_SHARE * counts.sum()]] = True
    return head & (counts > 0)


def slice_scores(ranking: Ranking, flags: dict[str, Flags]) -> dict[str, SliceScores]:
    """Metrics of each slice that has a target and is not the whole."""
    scores = {}
    for name, wanted in flags.items():
        if wanted.any() and not wanted.all():
            scores[name] = scores_of(narrowed(ranking, wanted))
    return scores


def scores_of(ranking: Ranking) -> SliceScores:
    """Metrics of a whole ranking as of a slice."""
    return SliceScores(
        len(ranking.targets),
        len(ranking.rank),
        float(ndcg(ranking, 10).mean()),
        float(recall(ranking, 20).mean()),
    )


def narrowed(ranking: Ranking, wanted: Flags) -> Ranking:
    """The ranking with the wanted pairs (P,) alone; users without any are left out, places stay."""
    users, owner = np.unique(ranking.owner[wanted], return_inverse=True)
    return replace(
        ranking,
        owner=owner,
        item=ranking.item[wanted],
        rank=ranking.rank[wanted],
        targets=np.bincount(owner, minlength=len(users)),
        candidates=ranking.candidates[users],
        best=ranking.best[users],
        log_probability=None if ranking.log_probability is None else ranking.log_probability[wanted],
        confidence=None if ranking.confidence is None else ranking.confidence[users],
    )
