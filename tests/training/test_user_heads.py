from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
import torch

from contracts.errors import NotEnoughData
from contracts.events import EventKind
from contracts.ids import UserId
from tests.builders import shop
from training.churn_training import train_churn
from training.data.churn_rows import CUT_EVERY, CUTS, HORIZON, churn_rows, training_cuts
from training.data.head_rows import Moment
from training.data.histories import Histories, frozen_users
from training.data.rating_rows import ITEM_SHRINKAGE, RatedUser, RatingAverages, learned_ratings, rating_rows
from training.data.sequences import UserSequence
from training.head_training import encode_users
from training.model.recency import RECENCY_FEATURES, recency_features
from training.model.user_heads import ChurnHead, RatingHead, RatingInputs, taste
from training.model.vocabulary import kind_row
from training.probabilities import auc, log_losses, platt
from training.rating_training import train_rating
from training.snapshot import Snapshot
from training.user_head_training import HeadLoop

DAY_MS = 86_400_000
DAY = timedelta(days=1)
VIEW, PURCHASE = kind_row(EventKind.VIEW), kind_row(EventKind.PURCHASE)


def sequence(user: str, days: list[float], kind: int = PURCHASE, items: list[int] | None = None) -> UserSequence:
    chosen = np.array(items or [place % 12 for place in range(len(days))], dtype=np.int64)
    fresh = np.zeros(len(days), dtype=np.bool_)
    fresh[np.unique(chosen, return_index=True)[1]] = True
    times_ms = np.array([round(day * DAY_MS) for day in days], dtype=np.int64)
    return UserSequence(UserId(user), chosen, np.full(len(days), kind, dtype=np.int64), times_ms, fresh)


def towers(width: int = 16) -> Snapshot:
    torch.manual_seed(0)
    table = shop.table(shop.contents())
    return Snapshot.of(shop.model(table, width), table)


def test_recency_numbers_are_those_of_the_purchases_alone() -> None:
    items, kinds = np.array([1, 2, 1, 3]), np.array([PURCHASE, PURCHASE, PURCHASE, VIEW])
    times_ms = np.array([0, 10, 30, 36], dtype=np.int64) * DAY_MS
    named = dict(zip(RECENCY_FEATURES, recency_features(items, kinds, times_ms, 40 * DAY_MS).tolist(), strict=True))
    assert named["days_since_purchase"] == pytest.approx(np.log1p(40 - 30))
    assert named["days_since_any"] == pytest.approx(np.log1p(40 - 36))
    assert named["days_since_first"] == pytest.approx(np.log1p(40))
    assert named["purchase_days"] == pytest.approx(np.log1p(3))
    assert named["items"] == pytest.approx(np.log1p(3))
    assert named["mean_gap_days"] == pytest.approx(np.log1p((30 - 0) / 2))
    assert named["overdue"] == pytest.approx(np.log1p(10 / (15 + 1)))
    assert named["purchase_days_30d"] == pytest.approx(np.log1p(2))
    assert named["once"] == 0.0


def test_a_user_without_purchases_or_without_anything_has_numbers_too() -> None:
    none = np.zeros(0, dtype=np.int64)
    assert not recency_features(none, none, none, DAY_MS).any()
    looked = recency_features(np.array([1]), np.array([VIEW]), np.array([0]), DAY_MS)
    assert np.isfinite(looked).all()
    assert looked[RECENCY_FEATURES.index("purchases")] == 0.0


def test_histories_give_the_same_user_vectors_as_the_ranking_heads_read() -> None:
    snapshot = towers()
    users = shop.shop(users=6, length=9).users[:5]
    at_ms = int(users[0].times_ms[-1]) + DAY_MS
    rows = [(user.part(0, length), at_ms) for user, length in zip(users, (9, 0, 4, 1, 7), strict=True)]
    expected = encode_users(snapshot.model, snapshot.vectors, [Moment(user, at, (), ()) for user, at in rows])
    assert torch.allclose(frozen_users(snapshot.model, snapshot.vectors, Histories.of(rows)), expected, atol=1e-5)


def test_a_label_says_whether_a_purchase_came_within_the_horizon_and_not_after_it() -> None:
    stays, late = sequence("a", [1, 5, 12]), sequence("b", [1, 31])
    looks = replace(sequence("c", [1, 12]), kinds=np.array([PURCHASE, VIEW]))
    later = sequence("d", [11, 12])
    rows = churn_rows([stays, late, looks, later], [10 * DAY_MS], timedelta(days=20))
    assert dict(zip(rows.users, rows.gone.tolist(), strict=True)) == {"a": 0.0, "b": 1.0, "c": 1.0}
    assert rows.histories.lengths.tolist() == [2, 1, 1]


def test_labels_of_training_cuts_end_before_the_test_begins() -> None:
    cuts = training_cuts(0, round(400 * DAY_MS))
    assert len(cuts) == CUTS
    assert cuts[0] + HORIZON / timedelta(milliseconds=1) == 400 * DAY_MS
    assert cuts[0] - cuts[1] == CUT_EVERY / timedelta(milliseconds=1)
    with pytest.raises(NotEnoughData, match="at least 120 days"):
        training_cuts(0, 100 * DAY_MS)


def leaving(count: int = 240) -> list[UserSequence]:
    """Half of the users come every week, the others stopped after three weeks."""
    rng = np.random.default_rng(0)
    return [
        sequence(f"u{place}", [week * 7 + float(rng.random()) for week in range(20 if place % 2 else 3)])
        for place in range(count)
    ]


@pytest.mark.parametrize("tuned", [False, True])
def test_the_churn_head_tells_users_who_left_from_those_who_stay_and_is_calibrated(tuned: bool) -> None:
    snapshot, users = towers(), leaving()
    before = {name: tensor.clone() for name, tensor in snapshot.model.state_dict().items()}
    rows = churn_rows(users[:160], [60 * DAY_MS, 50 * DAY_MS, 40 * DAY_MS], timedelta(days=30))
    fitted = train_churn(snapshot.model, snapshot.vectors, rows, seed=1, tune_towers=tuned)
    new = churn_rows(users[160:], [80 * DAY_MS], timedelta(days=30))
    given, gone = fitted.probabilities(new), new.gone.numpy() > 0
    assert auc(given, gone) > 0.99
    assert log_losses(given, gone).mean() < 0.2
    assert fitted.held_out_loss < np.log(2) / 2
    for name, tensor in snapshot.model.state_dict().items():
        assert torch.equal(tensor, before[name]), "the given towers stay as they are"


def test_a_churn_head_of_one_outcome_is_refused() -> None:
    snapshot = towers()
    rows = churn_rows([user.before(60 * DAY_MS) for user in leaving()], [60 * DAY_MS])
    with pytest.raises(NotEnoughData, match="both outcomes"):
        train_churn(snapshot.model, snapshot.vectors, rows, seed=1)


def test_an_untrained_churn_head_gives_everyone_the_same_probability() -> None:
    head = ChurnHead(8).eval()
    given = head(torch.randn(3, 8), torch.randn(3, len(RECENCY_FEATURES)))
    assert torch.allclose(given, torch.full((3,), 0.5))


def test_ties_count_half_in_the_area_under_the_curve() -> None:
    outcomes = np.array([True, False, True, False])
    assert auc(np.array([0.9, 0.1, 0.5, 0.5]), outcomes) == pytest.approx((1 + 1 + 1 + 0.5) / 4)
    with pytest.raises(NotEnoughData):
        auc(np.array([0.5, 0.6]), np.array([True, True]))


def test_log_losses_stay_finite_for_a_certain_and_wrong_probability() -> None:
    losses = log_losses(np.array([0.0, 0.25]), np.array([True, False]))
    assert losses[0] == pytest.approx(-np.log(1e-7))
    assert losses[1] == pytest.approx(-np.log(0.75))


def test_platt_scaling_takes_back_logits_that_are_twice_as_sure_as_they_should_be() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(20_000, generator=generator)
    outcomes = (torch.rand(20_000, generator=generator) < torch.sigmoid(logits - 0.5)).float()
    slope, shift = platt(2 * logits, outcomes)
    assert slope == pytest.approx(1 / 2, abs=0.03)
    assert shift == pytest.approx(-0.5, abs=0.05)
    assert platt(-logits, outcomes)[0] == 0.0


def test_item_averages_are_shrunken_to_the_mean_and_ignore_what_has_no_rating() -> None:
    user = RatedUser(sequence("a", [1, 2, 3], items=[0, 1, 2]), np.array([5.0, 2.0, np.nan], dtype=np.float32))
    averages = RatingAverages.of([user], 3)
    assert averages.mean == pytest.approx((5 + 2) / 2)
    assert averages.item_bias.tolist() == pytest.approx([1.5 / (ITEM_SHRINKAGE + 1), -1.5 / (ITEM_SHRINKAGE + 1), 0.0])
    with pytest.raises(NotEnoughData):
        RatingAverages.of([RatedUser(user.sequence, np.full(3, np.nan, dtype=np.float32))], 3)


def test_a_rating_knows_the_ratings_strictly_before_it_alone() -> None:
    user = RatedUser(sequence("a", [1, 2, 2, 3]), np.array([5.0, 4.0, np.nan, 1.0], dtype=np.float32))
    rows = rating_rows(learned_ratings([user]), RatingAverages(3.0, np.zeros(12, dtype=np.float32)))
    assert rows.rated.tolist() == [0.0, 1.0, 2.0]
    assert rows.residual_sum.tolist() == [0.0, 5 - 3, (5 - 3) + (4 - 3)]
    assert rows.residuals[2, :4].tolist() == [2.0, 1.0, 0.0, 0.0]
    assert rows.histories.lengths.tolist() == [0, 1, 3]


def test_an_untrained_rating_head_is_mean_and_biases() -> None:
    head = RatingHead(4, id_rows=3, mean=3.0)
    with torch.no_grad():
        head.item_bias.weight[2, 0] = 0.5
    pairs = RatingInputs(
        *(torch.randn(1, 4), torch.randn(1, 4), torch.randn(1), torch.tensor([2]), torch.randn(1, 4)),
        residual_sum=torch.tensor([4.0]),
        rated=torch.tensor([6.0]),
    )
    shrinkage = float(head.log_shrinkage.detach().exp())
    assert float(head(pairs).detach()) == pytest.approx(3.0 + 0.5 + 4 / (6 + shrinkage), abs=1e-5)


def test_taste_is_the_residuals_times_the_vectors_over_the_root_of_their_number() -> None:
    vectors = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [9.0, 9.0]]])
    given = taste(vectors, torch.tensor([[2.0, -1.0, 0.0]]))
    assert torch.allclose(given, torch.tensor([[2.0, -1.0]]) / 2**0.5)


def test_the_rating_head_learns_that_users_like_one_kind_of_item() -> None:
    snapshot = towers()
    rng = np.random.default_rng(0)
    users = []
    for place in range(120):
        items = rng.permutation(12).tolist()
        stars = [4.5 if item % 3 == place % 3 else 2.0 for item in items]
        days = [float(day) for day in range(12)]
        users.append(RatedUser(sequence(f"u{place}", days, items=items), np.array(stars, dtype=np.float32)))
    learned, tested = users[:90], users[90:]
    averages = RatingAverages.of(learned, 12)
    rows = rating_rows(learned_ratings(learned), averages)
    loop = HeadLoop(epochs=150, patience=30, batch=64, learning_rate=1e-2)
    fitted = train_rating(snapshot.model, (snapshot.vectors, snapshot.ids), rows, averages, seed=0, loop=loop)
    asked = rating_rows([each for each in learned_ratings(tested) if len(each.history.values) >= 6], averages)
    error = float(np.sqrt(np.mean((fitted.expected(asked) - asked.values.double().numpy()) ** 2)))
    spread = float(asked.values.std())
    assert error < spread / 2
