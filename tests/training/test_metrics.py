import math

import numpy as np
import pytest

from contracts.errors import NotEnoughData
from training.metrics import best_first, bootstrap_interval, ndcg_at, recall_at, reciprocal_rank


def test_ndcg_discounts_by_place_and_divides_by_the_best_order() -> None:
    gain = 1 / math.log2(1 + 1) + 1 / math.log2(3 + 1)
    best = 1 / math.log2(1 + 1) + 1 / math.log2(2 + 1) + 1 / math.log2(3 + 1)
    assert ndcg_at([7, 1, 8, 2], {7, 8, 9}, 3) == pytest.approx(gain / best)


def test_ndcg_of_the_best_order_is_one_even_with_fewer_targets_than_places() -> None:
    assert ndcg_at([3, 1, 2], {3}, 10) == 1.0


def test_ndcg_counts_nothing_beyond_k() -> None:
    assert ndcg_at([1, 2, 3], {3}, 2) == 0.0


def test_recall_is_the_share_of_all_targets() -> None:
    assert recall_at([5, 6, 7, 8], {5, 8, 9}, 3) == pytest.approx(1 / 3)


def test_reciprocal_rank_is_that_of_the_first_target() -> None:
    assert reciprocal_rank([4, 5, 6], {5, 6}) == pytest.approx(1 / 2)
    assert reciprocal_rank([4, 5, 6], {7}) == 0.0


def test_a_user_without_targets_is_refused() -> None:
    with pytest.raises(NotEnoughData):
        ndcg_at([1], set(), 10)


def test_excluded_items_are_in_no_ranking_and_ties_go_by_index() -> None:
    scores = np.array([0.5, 0.9, 0.5, 0.1], dtype=np.float32)
    assert best_first(scores, np.array([1]), 4) == [0, 2, 3]


def test_the_bootstrap_interval_of_equal_differences_is_that_difference() -> None:
    low, high = bootstrap_interval(np.full(20, 0.25), np.random.default_rng(0))
    assert (low, high) == (0.25, 0.25)


def test_the_bootstrap_interval_covers_the_mean() -> None:
    differences = np.random.default_rng(1).normal(0.1, 1.0, size=200)
    low, high = bootstrap_interval(differences, np.random.default_rng(0))
    assert low < differences.mean() < high
