"""The gate: what passes, what is refused, and what neither time nor a restart lets pass."""

import math

import pytest

from contracts.versions import GateState
from training.incremental.gate import LARGEST_STEP, PROBE_MARGIN, Anchor, Gate, RoundGates, Verdict

NAN, INFINITE = float("nan"), float("inf")


def anchored(loss: float = 5.0, items: int = 2000) -> RoundGates:
    gates = RoundGates()
    gates.anchor(loss, items)
    return gates


def settled(loss: float = 5.0, rounds: int = 40) -> Gate:
    gate = Gate(loss)
    for _ in range(rounds):
        gate = gate.after_round(loss, Verdict.PUBLISH)
    return gate


@pytest.mark.parametrize("loss", [NAN, INFINITE])
def test_a_loss_that_is_not_finite_is_refused_and_moves_nothing(loss: float) -> None:
    gate = Gate(5.0)
    assert gate.judge(loss) is Verdict.NOT_FINITE
    assert gate.after_round(loss, Verdict.NOT_FINITE) == gate
    assert anchored().judge(True, 5.0, loss, 2000) is Verdict.NOT_FINITE
    assert RoundGates().judge(True, loss, None) is Verdict.NOT_FINITE


def test_a_loss_near_the_running_mean_is_published_and_one_above_its_margin_is_a_collapse() -> None:
    assert settled(5.0).judge(5.0 + 1.4) is Verdict.PUBLISH
    assert settled(5.0).judge(5.0 + 1.5 + 0.1) is Verdict.COLLAPSED


def test_a_noisy_loss_widens_the_ceiling_and_a_falling_one_does_not() -> None:
    noisy, falling = Gate(5.0), Gate(9.0)
    for place in range(40):
        noisy = noisy.after_round(5.0 + (-1.0) ** place, Verdict.PUBLISH)
        falling = falling.after_round(5.0, Verdict.PUBLISH)
    assert noisy.ceiling() > 5.0 + 1.5 + 1.0
    assert falling.ceiling() == falling.mean + 1.5


def test_one_round_however_bad_lifts_the_ceiling_by_little() -> None:
    before, after = settled(5.0), settled(5.0).after_round(1e9, Verdict.COLLAPSED)
    assert after.mean == pytest.approx(before.mean + 0.03 * LARGEST_STEP)
    assert after.judge(9.0) is Verdict.COLLAPSED


def test_the_first_rounds_of_a_line_are_judged_like_all_others() -> None:
    gates = anchored(5.0)
    assert [gates.judge(True, loss, loss, 2000) for loss in (50.0, 500.0, 5e3)] == [Verdict.FORGOT] * 3
    assert gates.judge(True, 50.0, 5.0, 2000) is Verdict.COLLAPSED
    assert gates.judge(True, 5.0, 5.0, 2000) is Verdict.PUBLISH


def test_without_anything_of_the_batch_version_the_first_round_is_held_to_a_guess_among_all_items() -> None:
    assert RoundGates().judge(True, 50.0, 50.0, 2000) is Verdict.FORGOT
    assert RoundGates().judge(True, 7.0, 7.0, 2000) is Verdict.PUBLISH


def test_losses_just_below_the_ceiling_never_walk_the_probe_above_its_bound() -> None:
    gates, published = anchored(5.0), []
    probe = 5.0
    for _ in range(2000):
        assert gates._loss is not None
        loss = gates._loss.ceiling() - 1e-6
        verdict = gates.judge(True, loss, probe, 2000)
        if verdict is Verdict.PUBLISH:
            published.append(probe)
        probe = min(probe + 0.05, loss)
    assert max(published) <= 5.0 + PROBE_MARGIN
    assert gates.judge(True, 5.0, 5.0 + PROBE_MARGIN + 0.01, 2000) is Verdict.FORGOT


def test_a_lasting_change_of_traffic_is_accepted_while_the_probe_holds() -> None:
    gates = anchored(5.0)
    verdicts = [gates.judge(True, 9.0, 5.3, 2000) for _ in range(100)]
    assert verdicts[0] is Verdict.COLLAPSED
    assert verdicts[-1] is Verdict.PUBLISH


def test_a_larger_catalogue_raises_the_probes_bound_by_what_chance_gives() -> None:
    anchor = Anchor(5.0, 1000)
    assert anchor.ceiling(2000) == pytest.approx(5.0 + PROBE_MARGIN + math.log(2000 / 1000))
    assert anchor.ceiling(500) == 5.0 + PROBE_MARGIN


def test_the_gates_go_on_after_a_restart_where_they_were() -> None:
    gates = anchored(5.0)
    for _ in range(20):
        gates.judge(True, 4.0, 4.8, 2000)
    state = gates.state()
    assert state is not None
    again = RoundGates(GateState.model_validate_json(state.model_dump_json()))
    again.anchor(50.0, 2000)  # what poisoned weights would say of themselves
    assert again.state() == state
    assert again.judge(True, 4.0, 5.0 + PROBE_MARGIN + 0.1, 2000) is Verdict.FORGOT
    assert again.judge(True, 8.5, 5.0, 2000) is Verdict.COLLAPSED


def test_quiet_rounds_neither_lower_the_ceiling_nor_raise_it() -> None:
    gates = anchored(7.0)
    for _ in range(30):
        assert gates.judge(True, 7.0, 7.0, 2000) is Verdict.PUBLISH
    for _ in range(20):
        assert gates.judge(True, None, None) is Verdict.PUBLISH
    assert gates.judge(True, 7.2, 7.2, 2000) is Verdict.PUBLISH
    assert gates.judge(True, 9.0, 7.2, 2000) is Verdict.COLLAPSED
    assert gates.judge(False, None, None) is Verdict.NOT_FINITE
