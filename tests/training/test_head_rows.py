"""Rows of the heads: which feature rows they want, and that each candidate gets its own."""

import numpy as np

from contracts.features import ItemFeatures, UserFeatures
from tests.builders import shop
from training.data.feature_join import FeatureRows, Wanted
from training.data.head_rows import Moment, head_rows, wanted_rows
from training.model.features import HEAD_FEATURES

LABEL = (0.0, 0.0, 0.0)


def test_each_candidate_has_the_rows_of_its_user_and_its_item_as_of_its_moment() -> None:
    training_set = shop.shop()
    ids, (ann, bob) = training_set.table.vocabulary.ids, training_set.users[:2]
    chosen = [Moment(ann, 5000, (3, 1), (LABEL, LABEL)), Moment(bob, 7000, (2,), (LABEL,))]
    wanted = wanted_rows(training_set, chosen)
    assert wanted == Wanted(
        ((ann.user_id, 5000), (bob.user_id, 7000)), ((ids[3], 5000), (ids[1], 5000), (ids[2], 7000))
    )
    rows = FeatureRows(
        (UserFeatures(event_count=4, last_event_ms=1), None),
        (ItemFeatures(views_7d=1, last_event_ms=1), None, ItemFeatures(views_7d=9, last_event_ms=1)),
    )
    made = head_rows(training_set, chosen, rows)
    columns = {name: made.features[:, HEAD_FEATURES.index(name)].tolist() for name in HEAD_FEATURES}
    assert made.owner.tolist() == [0, 0, 1]
    assert columns["user_known"] == [1, 1, 0]
    assert np.allclose(columns["user_event_count"], np.log1p([4, 4, 0]))
    assert columns["item_known"] == [1, 0, 1]
    assert np.allclose(columns["item_views_7d"], np.log1p([1, 0, 9]))


def test_no_moments_have_no_rows() -> None:
    training_set = shop.shop()
    made = head_rows(training_set, [], FeatureRows())
    assert made.features.shape == (0, len(HEAD_FEATURES))
