"""The gate: whether the learner's weights may be published. Pure; losses in nats, the progressive one before learning.

Two figures are judged. The *probe* is the loss of the new weights on examples that never change, those that the batch
version left: it may lie `PROBE_MARGIN` above what that version itself had, and this bound follows nothing. The
*progressive loss* of the round's own traffic is compared with its running mean, which follows the traffic but slowly:
it holds a sudden change back, and the probe decides what a lasting one may cost. A new line starts from the batch
version's figures and a restarted learner from those of its last version, so that no round is judged by nothing.
"""

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from contracts.versions import GateState

PROBE_MARGIN = 1.0
FIRST_DEVIATION = 0.75
"""The spread that the progressive loss is thought to have around the probe's before any round was seen."""

LARGEST_STEP = 3.0
"""A loss further above the mean than this counts as so far: no single round lifts the ceiling by much."""


class Verdict(StrEnum):
    """What becomes of the weights; a refusal rolls them back. The value labels the metric."""

    PUBLISH = "publish"
    NOT_FINITE = "not_finite"
    COLLAPSED = "collapsed"
    FORGOT = "forgot"


@dataclass(frozen=True)
class Gate:
    """A running mean of the progressive loss and its spread, exponentially weighted.

    Attributes:
        mean: Running mean of the loss by round.
        variance: Running mean of the squares of its rises above the mean.
        deviations: How many standard deviations above the mean is a collapse.
        margin: How much above the mean, at least, is a collapse: a loss of a few examples is noisy.
    """

    mean: float
    variance: float = FIRST_DEVIATION**2
    deviations: float = 4.0
    margin: float = 1.5

    def judge(self, loss: float) -> Verdict:
        """The verdict on the weights that learned from examples of such a progressive loss."""
        if not math.isfinite(loss):
            return Verdict.NOT_FINITE
        return Verdict.COLLAPSED if loss > self.ceiling() else Verdict.PUBLISH

    def ceiling(self) -> float:
        """The loss above which a round is a collapse."""
        return self.mean + max(self.margin, self.deviations * float(self.variance**0.5))

    def after_round(self, loss: float, verdict: Verdict) -> "Gate":
        """The gate once a round is judged; a loss that is not finite never moves it.

        A refused round moves it too, and less, so that a lasting change of the shop's traffic is accepted in the end
        and does not lock the learner out.
        """
        if verdict is Verdict.NOT_FINITE or not math.isfinite(loss):
            return self
        weight = 0.1 if verdict is Verdict.PUBLISH else 0.03
        step = min(loss - self.mean, LARGEST_STEP)
        rise = max(step, 0.0)  # a loss that falls is no reason to let a higher one pass
        return replace(
            self,
            mean=self.mean + weight * step,
            variance=(1 - weight) * (self.variance + weight * rise * rise),
        )


@dataclass(frozen=True)
class Anchor:
    """The loss of the batch version on the fixed probe, and over how many items it was: it never moves."""

    loss: float
    items: int

    def judge(self, probe: float, items: int) -> Verdict:
        """The verdict on weights of such a loss on the probe, over so many items."""
        if not math.isfinite(probe):
            return Verdict.NOT_FINITE
        return Verdict.FORGOT if probe > self.ceiling(items) else Verdict.PUBLISH

    def ceiling(self, items: int | None = None) -> float:
        """The loss above which the weights have forgotten; by chance alone it grows with the log of the items."""
        grown = 0.0 if items is None else math.log(max(items, 1) / max(self.items, 1))
        return self.loss + PROBE_MARGIN + max(0.0, grown)


class RoundGates:
    """The two gates of a round, and what of them outlives the process.

    Args:
        state: What a version of the line kept; without it the first probe that is judged becomes the anchor.
    """

    def __init__(self, state: GateState | None = None) -> None:
        self._probe: Anchor | None = None
        self._loss: Gate | None = None
        if state is not None:
            self._probe = Anchor(state.probe_loss, state.items)
            self._loss = Gate(state.mean, state.variance)

    def anchor(self, probe: float | None, items: int) -> None:
        """Takes the batch version's own figure, once."""
        if self._probe is None and probe is not None and math.isfinite(probe):
            self._probe, self._loss = Anchor(probe, items), Gate(probe)

    def state(self) -> GateState | None:
        """What the next version of the line keeps."""
        if self._probe is None or self._loss is None:
            return None
        return GateState(
            probe_loss=self._probe.loss, items=self._probe.items, mean=self._loss.mean, variance=self._loss.variance
        )

    def judge(self, finite: bool, loss: float | None, probe: float | None, items: int = 0) -> Verdict:
        """The verdict on a round; a figure that a round without positives lacks judges nothing and moves no gate.

        Args:
            finite: Whether all weights are finite.
            loss: Progressive loss of the round; None where it had no positives.
            probe: Loss on the probe; None where nothing of it is left.
            items: Over how many items the probe's loss is.
        """
        if not finite:
            return Verdict.NOT_FINITE
        if self._probe is None and probe is not None and math.isfinite(probe):
            # Nothing was left to measure the batch version on: it counts for no worse than a guess among all items.
            self.anchor(min(probe, math.log(items)) if items > 1 else probe, items)
        verdicts = []
        if probe is not None:
            verdicts.append(Verdict.NOT_FINITE if self._probe is None else self._probe.judge(probe, items))
        if loss is not None:
            verdicts.append(_finite(loss) if self._loss is None else self._loss.judge(loss))
        verdict = next((each for each in verdicts if each is not Verdict.PUBLISH), Verdict.PUBLISH)
        if loss is not None and self._loss is not None:
            self._loss = self._loss.after_round(loss, verdict)
        return verdict


def _finite(loss: float) -> Verdict:
    return Verdict.PUBLISH if math.isfinite(loss) else Verdict.NOT_FINITE
