from training.incremental.gate import Gate, RoundGates, Verdict


def warmed(loss: float = 5.0, rounds: int = 10) -> Gate:
    gate = Gate()
    for _ in range(rounds):
        gate = gate.after(loss)
    return gate


def test_weights_that_are_not_finite_are_refused_even_before_the_warm_up() -> None:
    assert Gate().judge(5.0, finite=False) is Verdict.NOT_FINITE
    assert Gate().judge(float("nan"), finite=True) is Verdict.NOT_FINITE
    assert Gate().judge(float("inf"), finite=True) is Verdict.NOT_FINITE


def test_a_loss_near_the_running_mean_is_published() -> None:
    assert warmed(5.0).judge(5.0 + 1.4, finite=True) is Verdict.PUBLISH


def test_a_loss_above_mean_and_margin_is_a_collapse() -> None:
    assert warmed(5.0).judge(5.0 + 1.5 + 0.1, finite=True) is Verdict.COLLAPSED


def test_nothing_is_a_collapse_before_the_warm_up() -> None:
    assert warmed(5.0, rounds=4).judge(50.0, finite=True) is Verdict.PUBLISH


def test_a_noisy_loss_widens_the_ceiling() -> None:
    gate = Gate()
    for place in range(40):
        gate = gate.after(5.0 + (-1.0) ** place)
    assert gate.ceiling() > 5.0 + 1.5 + 1.0


def test_a_lasting_change_is_accepted_in_the_end() -> None:
    gate = warmed(5.0)
    verdicts = []
    for _ in range(60):
        verdict = gate.judge(9.0, finite=True)
        verdicts.append(verdict)
        gate = gate.after_round(9.0, verdict)
    assert verdicts[0] is Verdict.COLLAPSED
    assert verdicts[-1] is Verdict.PUBLISH


def test_weights_that_are_not_finite_leave_the_baseline_as_it_is() -> None:
    gate = warmed(5.0)
    assert gate.after_round(float("nan"), Verdict.NOT_FINITE) == gate


def test_quiet_rounds_neither_lower_the_ceiling_nor_raise_it() -> None:
    gates = RoundGates()
    for _ in range(30):
        assert gates.judge(True, 7.0, 7.0) is Verdict.PUBLISH
    for _ in range(20):
        assert gates.judge(True, None, None) is Verdict.PUBLISH
    assert gates.judge(True, 7.2, 7.2) is Verdict.PUBLISH
    assert gates.judge(True, 9.0, 7.2) is Verdict.COLLAPSED
    assert gates.judge(False, None, None) is Verdict.NOT_FINITE
