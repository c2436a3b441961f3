"""A line of versions: the learner that goes on from one published version, and what is known of the line so far."""

import logging
from dataclasses import dataclass, field
from datetime import datetime

from contracts.errors import BadInput
from contracts.examples import TrainingExample
from contracts.ids import ItemId, ModelVersion
from contracts.ports import Vectors
from contracts.versions import PublishedVersion
from training.incremental.catalogue import Catalogue
from training.incremental.learner import Learner
from training.incremental.metrics import LearnerMetrics
from training.model.checkpoint import Checkpoint
from training.model.content import ContentTable
from training.publish import IndexedVectors

log = logging.getLogger(__name__)


@dataclass
class Line:
    """The line of versions under way: who learns, from which version, and what the vector index holds of it.

    `not_indexed` are vectors of items that came or changed, until the index has them; `to_sweep` says that it may hold
    items that left the catalogue.
    """

    learner: Learner
    version: PublishedVersion
    indexed: IndexedVectors
    examples: int
    root: ModelVersion | None
    covered_to: datetime | None
    data_to: datetime | None
    not_indexed: dict[ItemId, Vectors] = field(default_factory=dict)
    to_sweep: bool = True

    @classmethod
    def begin(
        cls, announced: PublishedVersion, base: Checkpoint, catalogue: Catalogue, metrics: LearnerMetrics, seed: int,
        admit_after: int,
    ) -> "Line":  # fmt: skip
        """A line that goes on from a version, with the items as the catalogue describes them now.

        An item whose vectors cannot be used is left out, and counted.
        """
        held = dict(zip(base.vocabulary.ids, base.item_matrix, strict=True))  # before new items are admitted
        base.ids.admit_after = admit_after
        table = ContentTable(base.model.config.content, base.vocabulary, base.ids)
        for item_id in sorted(catalogue.items):
            try:
                table.put([catalogue.content(item_id)])
            except BadInput as error:
                log.error("item %s left out: %s", item_id, error)
                metrics.failures.labels(error.reason).inc()
        learner = Learner(base, table, seed)
        learner.retire([item_id for item_id in base.vocabulary if item_id not in catalogue.items])
        begun = announced.origin == "batch"
        return cls(
            learner=learner,
            version=announced,
            indexed=IndexedVectors(held),
            examples=announced.examples,
            root=announced.version if begun else announced.root or _guessed_root(announced, catalogue),
            covered_to=announced.data_to if begun else announced.covered_to,
            data_to=announced.data_to,
        )

    def covers(self, example: TrainingExample) -> bool:
        """Whether the batch training at its root has learned an example; a traced one is always learned."""
        return not example.traced and self.covered_to is not None and example.at <= self.covered_to


def _guessed_root(announced: PublishedVersion, catalogue: Catalogue) -> ModelVersion | None:
    """The root of a version that names none: the batch version of before it, if the log still has one."""
    batch = catalogue.batch
    return batch.version if batch is not None and batch.version < announced.version else None
