"""A published model version: the record on the topic `model-versions`, and the manifest beside the weights."""

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from contracts.bounds import UtcDatetime
from contracts.formats import InternalMessage
from contracts.ids import EventId, ModelVersion

MOST_NAMED_EVENTS = 1000
"""With ids of 128 characters each the record stays far below what a broker takes in one message (1 MiB)."""


class GateState(BaseModel):
    """What the learner's gate knows of a line of versions.

    Attributes:
        probe_loss: Loss of the line's batch version on its fixed probe, nats.
        items: Over how many items that loss is.
        mean: Running mean of the progressive loss by round, nats.
        variance: Running variance of it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    probe_loss: float
    items: int
    mean: float
    variance: float


class PublishedVersion(InternalMessage):
    """Which weights serving must load, and what they were trained on.

    Attributes:
        version: Names the directory in the model store. Versions are ordered by the log, never by their names.
        parent: The version that the learner started from; None for a batch training.
        origin: `batch` from Ray Train over the archive, `incremental` from the learner.
        data_from: Event time of the oldest example used by the batch training.
        data_to: Event time of the newest example used.
        examples: Examples learned from, all ancestors included.
        root: The batch version that its line began with; None for a batch version.
        covered_to: Event time of the newest example that the batch training was given, of items left alone too; of an
            incremental version only where its root knew no `feedback_to`, and times decide what the root has learned.
        feedback_to: By partition of `feedback`, the offset before which every example is in these weights or was
            judged; None where the training did not know.
        learned_event_ids: Traced events learned from since the parent, the newest `MOST_NAMED_EVENTS`; every one has a
            stamp that names the version.
        features: Names of the features that the ranking heads read.
        git_revision: Revision of the code that trained it; "unknown" outside a checkout.
        metrics: Evaluation of this version, by metric name.
        gate: What the gate knew when it let this version pass; None for a batch version.
    """

    known_versions: ClassVar[tuple[int, ...]] = (1, 2)
    if_unknown: ClassVar[str] = "bring this process up to that code, or train a version with this one"

    schema_version: Literal[1, 2] = 2  # type: ignore[assignment]  # the message has a format of its own
    version: ModelVersion
    parent: ModelVersion | None
    origin: Literal["batch", "incremental"]
    created_at: UtcDatetime
    data_from: UtcDatetime | None
    data_to: UtcDatetime | None
    examples: int
    root: ModelVersion | None = None
    covered_to: UtcDatetime | None = None
    feedback_to: dict[int, int] | None = None
    learned_event_ids: tuple[EventId, ...] = ()
    features: tuple[str, ...] = ()
    git_revision: str = "unknown"
    metrics: dict[str, float] = Field(default_factory=dict)
    gate: GateState | None = None

    @property
    def line(self) -> ModelVersion | None:
        """The batch version that this one is of or goes back to; None where an incremental version names none."""
        return self.version if self.origin == "batch" else self.root
