import numpy as np
import pytest

from tests.training.evaluation.logs import DAY_MS, log_of, user
from training.evaluation.baselines.als import Als
from training.evaluation.baselines.chosen import baselines
from training.evaluation.baselines.co_visits import CoVisits, CoVisitSettings
from training.evaluation.baselines.popularity import Popularity
from training.evaluation.baselines.ranker import block_scorer
from training.evaluation.metrics import ndcg
from training.evaluation.protocol import leave_one_out, time_split
from training.evaluation.ranking import rank_targets


def test_popularity_of_seven_days_counts_only_those() -> None:
    users = [user([1, 1, 2], [0, 1, 9 * DAY_MS])]
    cut_ms = 10 * DAY_MS
    assert Popularity(users, 3, cut_ms).scores(users).tolist() == [[0, 2, 1]]
    assert Popularity(users, 3, cut_ms, days=7).scores(users).tolist() == [[0, 0, 1]]


def test_co_visits_weigh_near_pairs_and_new_history_more() -> None:
    counts = CoVisits([user([1, 2, 3])], 4, 10, CoVisitSettings(decay=0.9))
    # pairs: 1-2 and 2-3 at distance 1, 1-3 at distance 2
    assert counts.scores([user([1])])[0] == pytest.approx([0, 0, 1 / 1, 1 / 2], abs=1e-5)
    scores = counts.scores([user([2, 1])])[0]
    assert scores[3] == pytest.approx(0.9**1 * 1 / 1 + 0.9**0 * 1 / 2, abs=1e-5)


def test_a_co_visit_loses_half_of_its_weight_in_a_half_life() -> None:
    log = [user([0, 1], [0, 0]), user([0, 2], [7 * DAY_MS, 7 * DAY_MS])]
    scores = CoVisits(log, 3, 14 * DAY_MS, CoVisitSettings(half_life_days=7.0)).scores([user([0])])[0]
    assert scores[1] / scores[2] == pytest.approx(1 / 2, abs=1e-4)


def test_als_finds_the_group_of_a_user_that_it_has_not_seen() -> None:
    rng = np.random.default_rng(0)
    log = [user(rng.permutation(10)[:6] + 10 * (place % 2), name=f"u{place}") for place in range(60)]
    scores = Als(log, 20).scores([user([0, 1, 2]), user([10, 11, 12])])
    assert scores[0, 3:10].mean() > 2 * abs(scores[0, 10:].mean())
    assert scores[1, 13:].mean() > 2 * abs(scores[1, :10].mean())


def test_all_baselines_rank_a_split_better_than_chance_where_there_is_a_pattern() -> None:
    starts = np.random.default_rng(0).integers(0, 20, 80).tolist()
    users = [
        user(
            [start, (start + 1) % 20, (start + 2) % 20, (start + 3) % 20],
            [place + step * DAY_MS for step in range(4)],
            f"u{place}",
        )
        for place, start in enumerate(starts)
    ]
    log = log_of(users, 20)
    split = leave_one_out(log)
    found = {
        each.name: float(ndcg(rank_targets(block_scorer(each), split.test, True), 5).mean())
        for each in baselines(split, False, lambda what, share: None)
    }
    assert set(found) == {"popularity", "co_visits", "als"}
    assert found["co_visits"] > 0.8
    assert found["als"] > 0.5
    names = [each.name for each in baselines(time_split(log, 2 * DAY_MS + 5), True, lambda what, share: None)]
    assert names == ["popularity", "popularity_7d", "co_visits", "popularity_7d_x_co_visits", "als"]
