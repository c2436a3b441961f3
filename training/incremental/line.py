"""A line of versions: the learner that goes on from one published version, and what is known of the line so far."""

import logging
from dataclasses import dataclass, field
from datetime import datetime

from contracts.errors import BadInput
from contracts.examples import TrainingExample
from contracts.ids import ItemId, ModelVersion
from contracts.ports import Vectors
from contracts.vector_collections import model_items
from contracts.versions import PublishedVersion
from training.incremental.catalogue import Catalogue
from training.incremental.gate import RoundGates
from training.incremental.learner import Learner
from training.incremental.metrics import LearnerMetrics
from training.model.checkpoint import Checkpoint
from training.model.content import ContentTable
from training.publish import IndexedVectors

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Start:
    """What a line begins with: a version, its weights, and the examples that its root left for the learner."""

    version: PublishedVersion
    base: Checkpoint
    kept: tuple[TrainingExample, ...] = ()


@dataclass(frozen=True)
class Placed:
    """An example with its place on the topic `feedback`."""

    example: TrainingExample
    partition: int
    offset: int


@dataclass
class Line:
    """The line of versions under way: who learns, from which version, and what the vector index holds of it.

    `feedback_to` and `begun_to` are the places and the time up to which the version that it began with had come.
    `gates` judge its rounds. `not_indexed` are vectors of items that came or changed, until the index has them;
    `to_sweep` says that it may hold items that left the catalogue.
    """

    learner: Learner
    version: PublishedVersion
    indexed: IndexedVectors
    examples: int
    root: ModelVersion | None
    covered_to: datetime | None
    data_to: datetime | None
    feedback_to: dict[int, int]
    begun_to: datetime | None
    gates: RoundGates = field(default_factory=RoundGates)
    not_indexed: dict[ItemId, Vectors] = field(default_factory=dict)
    to_sweep: bool = True

    @classmethod
    def begin(cls, start: Start, catalogue: Catalogue, metrics: LearnerMetrics, seed: int, admit_after: int) -> "Line":
        """A line that goes on from a version, with the items as the catalogue describes them now.

        An item whose vectors cannot be used is left out, and counted.
        """
        announced, base = start.version, start.base
        held = dict(zip(base.vocabulary.ids, base.item_matrix, strict=True))  # before new items are admitted
        base.ids.admit_after = admit_after
        table = ContentTable(base.model.config.content, base.vocabulary, base.ids)
        for item_id in sorted(catalogue.items):
            try:
                table.put([catalogue.content(item_id)])
            except BadInput as error:
                log.error("item %s left out: %s", item_id, error)
                metrics.failures.labels(error.reason).inc()
        learner = Learner(base, table, seed, start.kept)
        learner.retire([item_id for item_id in base.vocabulary if item_id not in catalogue.items])
        begun = announced.origin == "batch"
        by_time = announced.feedback_to is None if begun else announced.covered_to is not None
        newest = max((at for at in (announced.data_to, announced.covered_to) if at is not None), default=None)
        gates = RoundGates(announced.gate)
        gates.anchor(learner.probe(), len(table.vocabulary))
        return cls(
            learner=learner,
            version=announced,
            indexed=IndexedVectors(held),
            examples=announced.examples,
            root=announced.version if begun else announced.root or _guessed_root(catalogue),
            covered_to=(newest if begun else announced.covered_to) if by_time else None,
            data_to=newest,
            feedback_to=announced.feedback_to or {},
            begun_to=newest,
            gates=gates,
        )

    @property
    def collection(self) -> str:
        """Its collection of the vector index."""
        return model_items(self.root)

    def covers(self, placed: Placed) -> bool:
        """Whether an example is in the weights that the line began with, or was judged before.

        The place in the log decides. The time is asked too, for a log that was lost and filled again has other places;
        alone it decides where the batch training knew no places, and then for the whole line.
        """
        at = placed.example.at
        if self.covered_to is not None and at <= self.covered_to:
            return True
        before = placed.offset < self.feedback_to.get(placed.partition, 0)
        return before and self.begun_to is not None and at <= self.begun_to


def _guessed_root(catalogue: Catalogue) -> ModelVersion | None:
    """The root of a version that names none: the batch version announced last, if the log still has one."""
    return None if catalogue.batch is None else catalogue.batch.version
