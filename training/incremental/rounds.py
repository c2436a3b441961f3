"""What is known of a batch before it is learned, and what a round, from one publication to the next, has learned."""

from dataclasses import dataclass, field

from contracts.ids import EventId


@dataclass(frozen=True)
class StepMetrics:
    """What the model knew of a batch before it learned from it.

    Attributes:
        examples: New examples in the batch that the model could use.
        positives: Those of them with an outcome on an item that is new to the user.
        softmax_loss: Mean loss of the positives over the catalogue; NaN without positives.
        recall_at_20: Share of the positives among the 20 best of all items; NaN without positives.
        log_loss: Mean binary loss of the click head over all; NaN without examples.
        capped: Examples left out since the round may learn no more of their user or item.
    """

    examples: int
    positives: int
    softmax_loss: float
    recall_at_20: float
    log_loss: float
    capped: int = 0


@dataclass
class Round:
    """What was learned since the last publication."""

    examples: int = 0
    traced: list[EventId] = field(default_factory=list)
    metrics: list[StepMetrics] = field(default_factory=list)

    def loss(self) -> float | None:
        """Progressive loss of the round, weighted by positives; None where there were none."""
        known = [(step.softmax_loss, step.positives) for step in self.metrics if step.positives]
        return sum(loss * count for loss, count in known) / sum(count for _, count in known) if known else None
