"""A thousand disturbed runs leave no trace, and planted faults are found: the simulation is tested as well."""

import gc

import pytest

from tests.simulation.planted import PLANTED, ForgetfulConsumer, planted
from tests.simulation.world import Failed, World

pytestmark = pytest.mark.filterwarnings(
    "ignore:coroutine .* was never awaited"
)  # of workers killed before a first step

SEEDS = 1000
FOUND_WITHIN = 200


@pytest.mark.timeout(900)
def test_a_thousand_disturbed_runs_end_as_one_that_nothing_has_disturbed() -> None:
    failures = []
    gc.disable()  # a fifth of the time, and each run's garbage is small
    try:
        for seed in range(SEEDS):
            try:
                World(seed).run()
            except Failed as error:
                failures.append(str(error))
            if seed % 50 == 0:
                gc.collect()
    finally:
        gc.enable()
    assert not failures, f"{len(failures)} of {SEEDS} seeds fail\n" + "\n\n".join(failures[:3])


def test_a_seed_plays_the_same_run_each_time() -> None:
    one, other = World(7), World(7)
    one.run()
    other.run()
    assert one.trace == other.trace
    assert one.broker.commits == other.broker.commits
    assert [one.broker.changelogs[table].records(0) for table in ("users", "items")] == [
        other.broker.changelogs[table].records(0) for table in ("users", "items")
    ]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found(name: str) -> None:
    def search() -> None:
        for seed in range(FOUND_WITHIN):
            World(seed, consumer=consumer).run()

    with planted(name) as consumer, pytest.raises(Failed, match=r"again: python -m tests\.simulation \d+"):
        search()


def test_a_client_that_skips_is_harmless_behind_the_lanes_guard() -> None:
    for seed in range(60):
        World(seed, consumer=ForgetfulConsumer).run()
