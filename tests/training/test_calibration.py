"""Calibration judges a scale and then sets that very scale."""

import math
from typing import cast

import pytest
import torch

from tests.builders import shop
from training.calibration import SCALES, calibrate_scale
from training.model.fusion import MOST_LOG_SCALE
from training.validation import Validation


class HalfIsBest:
    """Judges factors of the scale that the model has."""

    def losses(self, model: object, factors: tuple[float, ...]) -> dict[float, float]:
        return {factor: abs(factor - 0.5) for factor in factors}


def test_a_scale_beyond_the_most_is_calibrated_from_the_most() -> None:
    assert 0.5 in SCALES
    model = shop.model(shop.table(shop.contents()))
    with torch.no_grad():
        model.log_scale.fill_(MOST_LOG_SCALE + 1)
    held = float(model.scale().detach())
    calibrate_scale(model, cast(Validation, HalfIsBest()))
    assert float(model.scale().detach()) == pytest.approx(0.5 * held)
    assert float(model.log_scale.detach()) == pytest.approx(MOST_LOG_SCALE + math.log(0.5))
