"""Every metric over many users at once against the plainest code for one."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import ModelError, NotEnoughData
from tests.training.evaluation.logs import ask
from training.evaluation import metrics
from training.evaluation.intervals import bootstrap_interval
from training.evaluation.protocol import TestUser
from training.evaluation.ranking import Ranking, rank_targets

ITEMS = 12


def ranked(scores: list[list[float]], users: list[TestUser], without_history: bool = True) -> Ranking:
    block = np.array(scores, dtype=np.float32)
    places = {id(user): place for place, user in enumerate(users)}
    return rank_targets(
        lambda part: block[[places[id(user)] for user in part]], users, without_history, logits=True, depth=5
    )


def order_of(scores: list[float], user: TestUser) -> list[int]:
    """Items best first, ties against the targets, items of the history left out."""
    kept = [item for item in range(ITEMS) if item in user.targets or item not in user.history.items]
    return sorted(kept, key=lambda item: (-scores[item], item in user.targets))


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[list[float]], list[TestUser]]:
    scores, users = [], []
    for _ in range(draw(st.integers(1, 4))):
        scores.append(draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=ITEMS, max_size=ITEMS)))
        history = draw(st.lists(st.integers(0, ITEMS - 1), min_size=1, max_size=4))
        users.append(ask(history, draw(st.sets(st.integers(0, ITEMS - 1), min_size=1, max_size=4))))
    return scores, users


@given(cases())
def test_metrics_of_blocks_equal_those_of_one_list_at_a_time(case: tuple[list[list[float]], list[TestUser]]) -> None:
    scores, users = case
    ranking = ranked(scores, users)
    for place, (row, user) in enumerate(zip(scores, users, strict=True)):
        order = order_of(row, user)
        assert metrics.ndcg(ranking, 5)[place] == pytest.approx(metrics.ndcg_at(order, user.targets, 5))
        found = [order.index(item) + 1 for item in user.targets]
        assert metrics.recall(ranking, 5)[place] == pytest.approx(sum(rank <= 5 for rank in found) / len(found))
        assert metrics.reciprocal_rank(ranking)[place] == pytest.approx(1 / min(found))
        assert ranking.candidates[place] == len(order)
        pairs = [(order.index(t) < order.index(o)) for t in user.targets for o in order if o not in user.targets]
        assert metrics.auc(ranking)[place] == pytest.approx(sum(pairs) / len(pairs) if pairs else 1.0)


def test_ndcg_discounts_by_place_and_divides_by_the_best_order() -> None:
    gain = 1 / math.log2(1 + 1) + 1 / math.log2(3 + 1)
    best = 1 / math.log2(1 + 1) + 1 / math.log2(2 + 1) + 1 / math.log2(3 + 1)
    assert metrics.ndcg_at([7, 1, 8, 2], {7, 8, 9}, 3) == pytest.approx(gain / best)


def test_a_ranker_that_cannot_tell_items_apart_gains_nothing() -> None:
    ranking = ranked([[0.0] * ITEMS], [ask([0], {5})])
    assert ranking.rank.tolist() == [ITEMS - 1]


def test_items_of_the_history_stay_where_the_protocol_keeps_them() -> None:
    scores = [[float(ITEMS - item) for item in range(ITEMS)]]
    assert ranked(scores, [ask([0, 1], {2})], without_history=True).rank.tolist() == [1]
    assert ranked(scores, [ask([0, 1], {2})], without_history=False).rank.tolist() == [3]


def test_the_log_probability_is_that_of_a_softmax_over_what_is_ranked() -> None:
    scores = [float(item % 4) for item in range(ITEMS)]
    ranking = ranked([scores], [ask([3], {2})])
    kept = np.array([score for item, score in enumerate(scores) if item != 3])
    assert ranking.log_probability is not None
    assert ranking.log_probability[0] == pytest.approx(scores[2] - math.log(np.exp(kept).sum()), abs=1e-5)


def test_a_nan_in_the_scores_is_refused() -> None:
    with pytest.raises(ModelError, match="1 NaN"):
        ranked([[float("nan")] + [0.0] * (ITEMS - 1)], [ask([0], {5})])


def test_coverage_is_the_share_of_items_that_anyone_is_shown() -> None:
    scores = [[float(ITEMS - item) for item in range(ITEMS)]] * 2
    ranking = ranked(scores, [ask([0], {5}), ask([1], {5})])
    assert metrics.coverage(ranking, 1, ITEMS) == pytest.approx(2 / ITEMS)  # item 1 for one, item 0 for the other


def test_novelty_of_an_item_with_half_of_all_interactions_is_one_bit() -> None:
    counts = np.zeros(ITEMS)
    counts[3] = ITEMS - 2  # with one added to each: (ITEMS - 1) of 2 (ITEMS - 1)
    ranking = ranked([[1.0 if item == 3 else 0.0 for item in range(ITEMS)]], [ask([0], {3})])
    assert metrics.novelty(ranking, 1, counts) == pytest.approx(1.0)


def test_the_calibration_error_of_honest_probabilities_is_small_and_of_boasts_large() -> None:
    rng = np.random.default_rng(0)
    said = rng.random(20_000)
    happened = rng.random(20_000) < said
    assert metrics.calibration_error(said, happened) < 0.02
    assert metrics.calibration_error(np.sqrt(said), happened) > 0.1


def test_rmse_and_log_loss_by_hand() -> None:
    assert metrics.rmse(np.array([1.0, 3.0]), np.array([2.0, 5.0])) == pytest.approx(math.sqrt(2.5))
    assert metrics.log_loss(np.array([0.8, 0.4]), np.array([True, False])) == pytest.approx(
        -(math.log(0.8) + math.log(0.6)) / 2
    )


def test_a_user_without_targets_is_refused() -> None:
    with pytest.raises(NotEnoughData):
        metrics.ndcg_at([1], set(), 10)


def test_excluded_items_are_in_no_ranking_and_ties_go_by_index() -> None:
    scores = np.array([0.5, 0.9, 0.5, 0.1], dtype=np.float32)
    assert metrics.best_first(scores, np.array([1]), 4) == [0, 2, 3]


def test_the_bootstrap_interval_of_equal_differences_is_that_difference() -> None:
    low, high = bootstrap_interval(np.full(20, 0.25), np.random.default_rng(0))
    assert (low, high) == (0.25, 0.25)


def test_the_bootstrap_interval_covers_the_mean() -> None:
    differences = np.random.default_rng(1).normal(0.1, 1.0, size=200)
    low, high = bootstrap_interval(differences, np.random.default_rng(0))
    assert low < differences.mean() < high
