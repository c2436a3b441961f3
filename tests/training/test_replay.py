import numpy as np

from training.incremental.replay import Reservoir


def test_everything_is_kept_until_it_is_full() -> None:
    reservoir: Reservoir[int] = Reservoir(5, np.random.default_rng(0))
    for element in range(5):
        reservoir.add(element)
    assert sorted(reservoir.sample(9)) == [0, 1, 2, 3, 4]


def test_early_and_late_elements_are_kept_alike() -> None:
    kept_early = 0
    for seed in range(200):
        reservoir: Reservoir[int] = Reservoir(10, np.random.default_rng(seed))
        for element in range(100):
            reservoir.add(element)
        kept_early += sum(element < 50 for element in reservoir.sample(10))
    # 200 reservoirs of 10, half of the elements early: 1000 expected, 22 the standard deviation
    assert abs(kept_early - 200 * 10 / 2) < 4 * (200 * 10 * 0.25) ** 0.5


def test_a_sample_has_no_element_twice() -> None:
    reservoir: Reservoir[int] = Reservoir(50, np.random.default_rng(0))
    for element in range(50):
        reservoir.add(element)
    drawn = reservoir.sample(30)
    assert len(set(drawn)) == 30


def test_an_empty_reservoir_gives_nothing() -> None:
    assert Reservoir[int](5, np.random.default_rng(0)).sample(3) == []
