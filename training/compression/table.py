"""Variants measured side by side: quality by full ranking, sizes, latency as a ratio to torch; and the default of them.

B users, T interactions, N items, D width.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.errors import NotEnoughData
from contracts.features import HISTORY_LENGTH
from contracts.ports import Vectors
from training.compression.variants import ENGINES, REFERENCE, TRAINED, Form, Variant
from training.evaluation.intervals import bootstrap_interval
from training.evaluation.metrics import ndcg, recall
from training.evaluation.protocol import TestUser
from training.evaluation.ranking import BlockScorer, Reals, rank_targets
from training.model.vocabulary import gap_buckets

ROUNDS = 15
CALLS = 60
"""Calls of each variant a round: a round is milliseconds, so that what else the machine does strikes all alike."""

KEPT_QUALITY = 0.99
"""The default keeps this share of the reference's NDCG@10."""

VECTORS_A_VERSION = 60
"""What a version's costs are spread over: 20 recommendations a second, and a version of the learner every 3 s."""

MAKINGS = 7


@dataclass(frozen=True)
class Quality:
    """Full ranking of the same users: (U,) NDCG@10 and recall@20."""

    ndcg_10: Reals
    recall_20: Reals


@dataclass(frozen=True)
class Latency:
    """One user's vector at `HISTORY_LENGTH` interactions on one thread.

    Attributes:
        p50_ms: Of all calls.
        p95_ms: Likewise.
        ratios: (rounds,) median of a round over the reference's of the same round.
    """

    p50_ms: float
    p95_ms: float
    ratios: Reals


@dataclass(frozen=True)
class Row:
    """One variant of the table; `made_s` is from new weights to the engine that is ready to serve them."""

    form: Form
    variant: Variant
    quality: Quality
    latency: Latency
    made_s: float


def quality(variant: Variant, users: Sequence[TestUser], without_history: bool) -> Quality:
    """Ranks all items for all users by a variant. Users come by length of history, so that little is padded."""
    order = sorted(range(len(users)), key=lambda place: len(users[place].history))
    ranking = rank_targets(scorer(variant), [users[place] for place in order], without_history)
    back = np.argsort(order)
    return Quality(ndcg(ranking, 10)[back], recall(ranking, 20)[back])


def scorer(variant: Variant) -> BlockScorer:
    """Retrieval logits (B, N) of a variant, as `tower_fit.model_scorer` of its model."""
    scale = float(variant.model.scale().detach())

    def scores(users: Sequence[TestUser]) -> NDArray[np.float32]:
        logits = scale * encoded(variant, users) @ variant.items.T + variant.bias  # (B, N)
        return logits.astype(np.float32, copy=False)

    return scores


def encoded(variant: Variant, users: Sequence[TestUser]) -> Vectors:
    """User vectors (B, D) by the newest `HISTORY_LENGTH` interactions of each history."""
    lengths = np.array([min(len(user.history), HISTORY_LENGTH) for user in users], dtype=np.int64)
    shape = (len(users), int(lengths.max(initial=0)))
    items, kinds, gaps = (np.zeros(shape, dtype=np.int64) for _ in range(3))
    for row, (user, length) in enumerate(zip(users, lengths.tolist(), strict=True)):
        newest = slice(len(user.history) - length, None)
        items[row, :length] = user.history.items[newest]
        kinds[row, :length] = user.history.kinds[newest]
        gaps[row, :length] = gap_buckets(user.history.times_ms[newest].tolist(), user.at_ms)
    return variant.encoder.encode(variant.items[items], kinds, gaps, lengths)


def latencies(variants: Mapping[Form, Variant], rounds: int = ROUNDS, calls: int = CALLS) -> dict[Form, Latency]:
    """Times all variants in turns: every round calls each of them, so that a busy machine slows all alike.

    Raises:
        NotEnoughData: the reference is not among the variants.
    """
    if REFERENCE not in variants:
        raise NotEnoughData(
            f"found {[form.name for form in variants]}; expected {REFERENCE.name} among them to compare with"
        )
    histories = {form: _longest_history(variant) for form, variant in variants.items()}
    times = {form: np.empty((rounds, calls)) for form in variants}
    for turn in range(-1, rounds):  # the first turn warms up and is written over
        for form, variant in variants.items():
            for call in range(calls):
                started = time.perf_counter()
                variant.encoder.encode(*histories[form])
                times[form][turn, call] = (time.perf_counter() - started) * 1000.0
    reference = np.median(times[REFERENCE], axis=1)  # (rounds,)
    return {
        form: Latency(
            float(np.quantile(each, 0.5)), float(np.quantile(each, 0.95)), np.median(each, axis=1) / reference
        )
        for form, each in times.items()
    }


def making_s(form: Form, variant: Variant) -> float:
    """Seconds from new weights to an engine ready to serve them: the median of a few, once the graph is known."""
    times = []
    for _ in range(MAKINGS):
        started = time.perf_counter()
        ENGINES[form.engine](variant.model)
        times.append(time.perf_counter() - started)
    return float(np.median(times))


def cost_ms(row: Row) -> float:
    """Milliseconds that a version costs: to be made, and to encode `VECTORS_A_VERSION` users."""
    return row.made_s * 1000.0 + VECTORS_A_VERSION * row.latency.p50_ms


def default_of(rows: Sequence[Row]) -> Row:
    """The one whose versions cost least, of those that keep `KEPT_QUALITY` and serve the weights that were published.

    Other weights (pruned, a student's) were judged by no gate. Item vectors stay float32: int8 saves memory, no time.
    """
    least = KEPT_QUALITY * next(row for row in rows if row.form == REFERENCE).quality.ndcg_10.mean()
    allowed = [
        row
        for row in rows
        if row.form.weights == TRAINED and not row.form.int8_items and row.quality.ndcg_10.mean() >= least
    ]
    return min(allowed, key=cost_ms)


def as_markdown(rows: Sequence[Row], seed: int) -> str:
    """The table."""
    reference = next(row for row in rows if row.form == REFERENCE)
    head = (
        "| variant | NDCG@10 | change (95 %) | recall@20 | user tower (bytes) | items (bytes) | p50 ms | p95 ms "
        "| time over torch's | made in ms | a version costs ms |\n|---|---|---|---|---|---|---|---|---|---|---|\n"
    )
    return head + "\n".join(_line(row, reference, np.random.default_rng(seed)) for row in rows) + "\n"


def as_figures(row: Row) -> dict[str, object]:
    """The row's numbers by name, for JSON."""
    return {
        "variant": row.form.name,
        "ndcg_10": float(row.quality.ndcg_10.mean()),
        "recall_20": float(row.quality.recall_20.mean()),
        "tower_bytes": row.variant.tower_bytes,
        "item_bytes": row.variant.item_bytes,
        "p50_ms": row.latency.p50_ms,
        "p95_ms": row.latency.p95_ms,
        "ratio_to_torch": [float(ratio) for ratio in row.latency.ratios],
        "made_s": row.made_s,
    }


def _line(row: Row, reference: Row, rng: np.random.Generator) -> str:
    low, high = bootstrap_interval(row.quality.ndcg_10 - reference.quality.ndcg_10, rng)
    change = "" if row is reference else f"{low:+.4f} to {high:+.4f}"
    ratios = row.latency.ratios
    return (
        f"| {row.form.name} | {row.quality.ndcg_10.mean():.4f} | {change} | {row.quality.recall_20.mean():.4f} "
        f"| {row.variant.tower_bytes:,} | {row.variant.item_bytes:,} | {row.latency.p50_ms:.3f} "
        f"| {row.latency.p95_ms:.3f} | {np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f}) "
        f"| {row.made_s * 1000:.1f} | {cost_ms(row):.0f} |"
    )


def _longest_history(variant: Variant) -> tuple[Vectors, NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    items = variant.items[rng.integers(0, len(variant.items), (1, HISTORY_LENGTH))]  # (1, T, D)
    kinds, gaps = rng.integers(0, 4, (1, HISTORY_LENGTH)), rng.integers(0, 20, (1, HISTORY_LENGTH))
    return items, kinds, gaps, np.array([HISTORY_LENGTH])
