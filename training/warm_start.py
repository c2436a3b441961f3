"""Where training starts: popularity as the bias, item-item correlations as the id embedding and, guessed, as content.

With the user tower's decayed mean this starts the model as a low-rank item-to-item recommender; the softmax learns
what it misses, in seconds instead of hours. U users, N items, D width.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.content_start import begin_with_content
from training.data.sequences import UserSequence, item_counts
from training.model.content import ContentTable
from training.model.fusion import FusionTransformer
from training.model.id_table import SHARED_ROW

HALF_LIVES_DAYS = (2.0, 7.0, 28.0, 365.0)
"""Half-lives of popularity to choose from: a shop of seasons forgets in days, a grocer hardly ever."""

DAY_MS = 86_400_000
UNTOUCHED = 0.5
"""What an item that nobody has touched counts as."""

ROUNDS = 12
SMOOTHING = 0.02
"""Added to an item's share of users before dividing by its root: keeps rare items from looking alike by chance."""


def warm_start(
    model: FusionTransformer,
    table: ContentTable,
    users: Sequence[UserSequence],
    counts: NDArray[np.float64],
    seed: int,
) -> None:
    """Sets the item bias, the id embedding and how content is read, of a fresh model on the CPU.

    Args:
        model: What is to be trained.
        table: All items; the bias of one without an id row is an untouched item's.
        users: What it will learn.
        counts: `recent_counts` of it, (N,).
        seed: Of the subspace that the correlations are sought in.
    """
    ids = table.id_rows()  # (N,)
    owned = np.flatnonzero(ids)
    rows = torch.from_numpy(ids[owned])
    logs = np.log(counts)
    vectors = correlation_vectors(users, len(counts), model.config.width, seed)
    with torch.no_grad():
        model.bias.weight[rows, 0] = torch.from_numpy((logs - logs.mean())[owned]).float()
        model.bias.weight[SHARED_ROW] = math.log(UNTOUCHED) - logs.mean()
        model.item_tower.ids.weight[rows] = vectors[torch.from_numpy(owned)]
        centre = torch.from_numpy(counts).float() @ vectors  # (D,): a user of whom nothing is known
        model.user_tower.start.copy_(torch.nn.functional.normalize(centre, dim=0) * 0.1)
    begin_with_content(model, table, vectors, torch.from_numpy(item_counts(users, len(counts))).float())


def refresh_popularity(
    model: FusionTransformer, table: ContentTable, before: NDArray[np.float64], after: NDArray[np.float64]
) -> None:
    """Moves the item bias by how popularity has changed between two `recent_counts` (N,), keeping what was learned."""
    change, ids = popularity_change(before, after), table.id_rows()  # each (N,)
    owned = np.flatnonzero(ids)
    with torch.no_grad():
        model.bias.weight[torch.from_numpy(ids[owned]), 0] += torch.from_numpy(change[owned]).to(model.bias.weight)
        model.bias.weight[SHARED_ROW] += math.log(before.sum() / after.sum())


def popularity_change(before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.float64]:
    """How the log of each item's share has changed between two `recent_counts` (N,)."""
    change: NDArray[np.float64] = np.log(after / after.sum()) - np.log(before / before.sum())
    return change


def best_half_life(users: Sequence[UserSequence], items: int, cut_ms: int) -> float:
    """The half-life (days) whose popularity before a cut best foretells the first touches after it."""
    before = [user.before(cut_ms) for user in users]
    after = np.zeros(items)
    for user, past in zip(users, before, strict=True):
        np.add.at(after, user.items[len(past) :][user.fresh[len(past) :]], 1.0)

    def loss(half_life_days: float) -> float:
        counts = recent_counts(before, items, cut_ms, half_life_days)
        return -float(after @ np.log(counts / counts.sum()))

    return min(HALF_LIVES_DAYS, key=loss)


def recent_counts(users: Sequence[UserSequence], items: int, now_ms: int, half_life_days: float) -> NDArray[np.float64]:
    """First touches of each item, (N,), halved every `half_life_days`; at least one half."""
    counts = np.full(items, UNTOUCHED)
    for user in users:
        ages_days = (now_ms - user.times_ms[user.fresh]) / DAY_MS
        np.add.at(counts, user.items[user.fresh], np.exp2(-ages_days / half_life_days))
    return counts


def correlation_vectors(users: Sequence[UserSequence], items: int, width: int, seed: int) -> Tensor:
    """Leading eigenvectors, scaled by the root of their eigenvalues, of the items' correlations over users: (N, D).

    By subspace iteration (Halko et al. 2011, alg. 4.4) on the correlation matrix without its diagonal, which is never
    formed. Rows are at most of unit length; a rare item's is shorter, an unseen item's is zero.
    """
    owners = np.concatenate([np.full(len(user), place) for place, user in enumerate(users)])
    pairs = np.unique(np.stack([owners, np.concatenate([user.items for user in users])]), axis=1)
    share = np.bincount(pairs[1], minlength=items) / len(users)  # (N,)
    touched = torch.sparse_coo_tensor(
        torch.from_numpy(pairs), torch.ones(pairs.shape[1]), (len(users), items), check_invariants=False
    ).coalesce()
    mean = torch.from_numpy(share).float().unsqueeze(1)  # (N, 1)
    root = (mean + SMOOTHING).rsqrt()  # (N, 1)
    diagonal = mean * (1 - mean) * root**2  # (N, 1)
    shift = float(diagonal.max())

    def times(block: Tensor) -> Tensor:
        scaled = root * block  # (N, D)
        centred = torch.sparse.mm(touched, scaled) - mean.T @ scaled  # (U, D)
        covered = torch.sparse.mm(touched.t(), centred) - mean * centred.sum(0, keepdim=True)  # (N, D)
        product: Tensor = root * covered / len(users) - diagonal * block  # (N, D)
        return product

    drawn = min(items, width + 16)
    basis = torch.randn((items, drawn), generator=torch.Generator().manual_seed(seed))
    for _ in range(ROUNDS):
        basis, _ = torch.linalg.qr(times(basis) + shift * basis)
    values, rotation = torch.linalg.eigh(basis.T @ times(basis))
    best = torch.argsort(values, descending=True)[:width]
    vectors = (basis @ rotation[:, best]) * values[best].clamp(min=0.0).sqrt()  # (N, D)
    lengths = vectors.norm(dim=1, keepdim=True)  # (N, 1)
    seen = lengths[torch.from_numpy(share > 0)]
    typical = float(seen.median()) if len(seen) else 1.0
    vectors = vectors / torch.maximum(lengths, torch.tensor(max(typical, 1e-6)))
    return torch.nn.functional.pad(vectors, (0, width - vectors.shape[1]))  # (N, D)
