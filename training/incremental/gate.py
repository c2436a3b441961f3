"""The gate: whether the learner's weights may be published. Pure; the progressive loss is that before learning."""

from dataclasses import dataclass, replace
from enum import StrEnum


class Verdict(StrEnum):
    """What becomes of the weights; a refusal rolls them back. The value labels the metric."""

    PUBLISH = "publish"
    NOT_FINITE = "not_finite"
    COLLAPSED = "collapsed"


@dataclass(frozen=True)
class Gate:
    """A running mean of the progressive loss and its spread, exponentially weighted.

    Attributes:
        mean: Running mean of the loss by round, 0 before the first.
        variance: Running variance of it.
        rounds: Rounds seen.
        warm_up: Rounds before a collapse can be told.
        deviations: How many standard deviations above the mean is a collapse.
        margin: How much above the mean, at least, is a collapse: a loss of a few examples is noisy.
    """

    mean: float = 0.0
    variance: float = 0.0
    rounds: int = 0
    warm_up: int = 5
    deviations: float = 4.0
    margin: float = 1.5

    def judge(self, loss: float, finite: bool) -> Verdict:
        """The verdict on weights.

        Args:
            loss: Progressive loss of the round's examples by the weights that are to be published.
            finite: Whether all weights are finite.
        """
        if not finite or loss != loss or loss in (float("inf"), float("-inf")):
            return Verdict.NOT_FINITE
        if self.rounds >= self.warm_up and loss > self.ceiling():
            return Verdict.COLLAPSED
        return Verdict.PUBLISH

    def ceiling(self) -> float:
        """The loss above which a round is a collapse."""
        return self.mean + max(self.margin, self.deviations * float(self.variance**0.5))

    def after_round(self, loss: float, verdict: Verdict) -> "Gate":
        """The gate once a round is judged; weights that are not finite never move it.

        A refused round moves it slowly, so that a lasting change of the shop's traffic is accepted in the end and does
        not lock the learner out.
        """
        if verdict is Verdict.NOT_FINITE or loss != loss:
            return self
        return self.after(loss, weight=0.1 if verdict is Verdict.PUBLISH else 0.03)

    def after(self, loss: float, weight: float = 0.1) -> "Gate":
        """The gate once a round's loss has been seen, with the given weight."""
        if self.rounds == 0:
            return replace(self, mean=loss, rounds=1)
        step = loss - self.mean
        return replace(
            self,
            mean=self.mean + weight * step,
            variance=(1 - weight) * (self.variance + weight * step * step),
            rounds=self.rounds + 1,
        )


class RoundGates:
    """The two gates of a round: of its progressive loss, and of the new weights on what is remembered."""

    def __init__(self) -> None:
        self._loss, self._probe = Gate(), Gate(margin=0.5)

    def judge(self, finite: bool, loss: float | None, probe: float | None) -> Verdict:
        """The verdict on a round; a figure that a round without positives lacks judges nothing and moves no gate.

        Args:
            finite: Whether all weights are finite.
            loss: Progressive loss of the round; None where it had no positives.
            probe: Loss on remembered positives; None where there are none.
        """
        if not finite:
            return Verdict.NOT_FINITE
        judged = [(self._probe, probe), (self._loss, loss)]
        verdicts = [gate.judge(figure, True) for gate, figure in judged if figure is not None]
        verdict = next((each for each in verdicts if each is not Verdict.PUBLISH), Verdict.PUBLISH)
        self._probe, self._loss = (
            gate if figure is None else gate.after_round(figure, verdict) for gate, figure in judged
        )
        return verdict
