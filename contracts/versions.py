"""A published model version: the record on the topic `model-versions`, and the manifest beside the weights."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from contracts.events import UtcDatetime
from contracts.ids import EventId, ModelVersion


class PublishedVersion(BaseModel):
    """Which weights serving must load, and what they were trained on.

    Attributes:
        version: Sorts by time of publication; names the directory in the model store.
        parent: The version that the learner started from; None for a batch training.
        origin: `batch` from Ray Train over the archive, `incremental` from the learner.
        data_from: Event time of the oldest example used by the batch training.
        data_to: Event time of the newest example used.
        examples: Examples learned from, all ancestors included.
        root: The batch version that its line began with; None for a batch version.
        covered_to: Event time of the newest example that the root learned from; None for a batch version.
        learned_event_ids: Traced events learned from since the parent.
        features: Names of the features that the ranking heads read.
        git_revision: Revision of the code that trained it; "unknown" outside a checkout.
        metrics: Evaluation of this version, by metric name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    version: ModelVersion
    parent: ModelVersion | None
    origin: Literal["batch", "incremental"]
    created_at: UtcDatetime
    data_from: UtcDatetime | None
    data_to: UtcDatetime | None
    examples: int
    root: ModelVersion | None = None
    covered_to: UtcDatetime | None = None
    learned_event_ids: tuple[EventId, ...] = ()
    features: tuple[str, ...] = ()
    git_revision: str = "unknown"
    metrics: dict[str, float] = {}
