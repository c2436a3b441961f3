"""The mixture of the towers' softmax with co-visit counts."""

import numpy as np
import pytest

from training.model.mixture import mixed_logits

LOGITS = np.array([[1.0, 0.0, -1.0, -2.0], [0.5, 0.5, 0.0, 3.0]], dtype=np.float32)
NEAR = np.array([[0.0, 1.0, 3.0, 0.0], [0.0, 0.0, 0.0, 0.0]], dtype=np.float32)


def softmax(logits: np.ndarray) -> np.ndarray:
    odds = np.exp(logits - logits.max(-1, keepdims=True))
    return odds / odds.sum(-1, keepdims=True)


def test_the_probabilities_are_those_of_the_interpolation() -> None:
    mixed = softmax(mixed_logits(LOGITS, NEAR, 0.4))
    assert mixed[0] == pytest.approx(0.6 * softmax(LOGITS)[0] + 0.4 * NEAR[0] / 4.0, rel=1e-5)


def test_a_user_without_neighbours_keeps_the_towers_logits() -> None:
    assert np.array_equal(mixed_logits(LOGITS, NEAR, 0.4)[1], LOGITS[1])


def test_no_share_changes_nothing() -> None:
    assert mixed_logits(LOGITS, NEAR, 0.0) is LOGITS


def test_the_total_of_the_exponentials_stays_the_towers() -> None:
    mixed = mixed_logits(LOGITS, NEAR, 0.4)
    assert np.exp(mixed).sum(-1) == pytest.approx(np.exp(LOGITS).sum(-1), rel=1e-5)


def test_hopeless_items_keep_their_order_under_sure_logits() -> None:
    sure = np.array([0.0, -120.0, -150.0, -180.0], dtype=np.float32)
    mixed = mixed_logits(sure, np.array([1.0, 0.0, 0.0, 0.0], dtype=np.float32), 0.5)
    assert list(np.argsort(-mixed)) == [0, 1, 2, 3]
