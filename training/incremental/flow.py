"""The flow of the learner: feedback -> test -> learn -> gate -> publish -> commit. One `turn` after another.

A publication and the progress in the log:
1. Examples are polled, tested and learned from; nothing is committed.
2. The gate judges the round; a refused round is rolled back, and its examples count as consumed.
3. The version is published (training/publish.py: directory, vectors, announcement).
4. The group's offsets are committed. A crash before this step learns the round's examples again.
"""

import logging
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from contracts.clock import Clock
from contracts.deadletters import refused
from contracts.errors import BadInput, CheckpointNotSaved, ModelError, Unavailable
from contracts.examples import TrainingExample
from contracts.heartbeats import Heartbeat
from contracts.ids import EventId, ExampleId, ModelVersion, time_ordered_id
from contracts.ports import LoggedMessage, Tail
from contracts.settings import Settings
from contracts.topics import DEAD_LETTERS, HEARTBEATS, TRACES
from contracts.traces import Stage, TraceStamp
from contracts.vector_collections import MODEL_ITEMS
from contracts.versions import PublishedVersion
from contracts.wire import decode, encode
from training.incremental.catalogue import Catalogue
from training.incremental.gate import RoundGates, Verdict
from training.incremental.line import Line
from training.incremental.metrics import LearnerMetrics
from training.incremental.retention import retire
from training.model import checkpoint
from training.model.features import HEAD_FEATURES
from training.publish import Shelves, publish, upsert

log = logging.getLogger(__name__)

POLL_S = 0.1
REPLAYED_AFTER_BATCH = 20_000
"""Newest examples kept to learn again those that a new batch version has not seen."""

REMEMBERED_IDS = 50_000
"""Newest examples known by their ids, so that one which is delivered again is not learned again."""


class Feedback(Protocol):
    """Reading the feedback topic as a group, as `eventlog.group.GroupReader` does."""

    def poll(self, timeout_s: float) -> list[LoggedMessage]:
        """The next messages, maybe none."""
        ...

    def commit(self) -> None:
        """Keeps the progress up to what was polled."""
        ...

    def lag(self) -> dict[str, int]:
        """Messages not yet polled, by topic."""
        ...


@dataclass(frozen=True)
class Sources:
    """What the learner reads: the feedback as a group, and the catalogue's topics with the announcements as a tail."""

    feedback: Feedback
    catalogue: Tail


class LearnerFlow:
    """The learner as a sequence of turns; for one thread.

    Args:
        settings: Batch size, publication and heartbeat intervals, seed.
        sources: What it reads.
        shelves: Where versions go; its log takes dead letters, traces and heartbeats too.
        metrics: Its series.
        clock: Now.
    """

    def __init__(
        self, settings: Settings, sources: Sources, shelves: Shelves, metrics: LearnerMetrics, clock: Clock
    ) -> None:
        self._settings = settings
        self._sources = sources
        self._shelves = shelves
        self._metrics = metrics
        self._clock = clock
        self.catalogue = Catalogue()
        self.line: Line | None = None
        self._gates = RoundGates()
        self._recent: deque[TrainingExample] = deque(maxlen=REPLAYED_AFTER_BATCH)
        self._taken: OrderedDict[ExampleId, None] = OrderedDict()
        self._tried: ModelVersion | None = None
        self._published_at: datetime | None = None
        self._beaten_at: datetime | None = None
        self._uncommitted = False

    def turn(self) -> None:
        """One turn; an outage of a dependency ends it early and is counted, and the next one tries again."""
        try:
            self._beat()
            self._follow_catalogue()
            if self.line is None:
                return
            messages = self._sources.feedback.poll(POLL_S)
            self._uncommitted |= bool(messages)
            self._learn(self._decoded(messages))
            self._publish_when_due()
        except Unavailable as error:
            log.warning("waiting: %s", error)
            self._metrics.failures.labels(error.reason).inc()
        except CheckpointNotSaved as error:
            log.error("not published, to be tried again: %s", error)
            self._metrics.failures.labels(error.reason).inc()
            retire(self._shelves.store)

    def _follow_catalogue(self) -> None:
        for message in self._sources.catalogue.poll(0.0 if self.line is not None else POLL_S):
            try:
                self.catalogue.take(message, self._clock())
            except BadInput as error:
                self._refuse(message, error)
        if not self._sources.catalogue.caught_up():
            return
        self._adopt()
        if self.line is not None:
            self._apply_changes(self.line)

    def _adopt(self) -> None:
        """Starts from the newest announced version; later, only another batch version replaces the learner's own line.

        The batch version is the last in the log, not the newest by name: it is named before it is written, and the
        learner may have published meanwhile.
        """
        announced = self.catalogue.announced if self.line is None else self.catalogue.batch
        if announced is None or announced.version == self._tried:
            return
        if self.line is not None and announced.version == self.line.root:
            return
        self._tried = announced.version
        try:
            base = checkpoint.load(self._shelves.store.path(announced.version))
        except ModelError as error:
            log.error("cannot learn from version %s: %s", announced.version, error)
            self._metrics.failures.labels(error.reason).inc()
            return
        given = self._settings
        line = Line.begin(announced, base, self.catalogue, self._metrics, given.seed, given.id_admit_after)
        if self.line is not None:
            line.learner.reservoir = self.line.learner.reservoir
            # The line before may have written over what the batch training wrote.
            written = zip(base.vocabulary.ids, base.item_matrix, strict=False)
            line.not_indexed = {item: vector for item, vector in written if item in self.catalogue.items}
        self.line = line
        self._gates = RoundGates()
        unseen = [example for example in self._recent if not line.covers(example)]
        self._recent.clear()
        log.info("learning from %s (%s), %d newer examples", announced.version, announced.origin, len(unseen))
        self._learn(unseen)

    def _apply_changes(self, line: Line) -> None:
        """Tells the learner first and the index then, which may be away: what it lacks is tried again at each turn."""
        changes = self.catalogue.changes()
        line.learner.retire(sorted(changes.deleted))
        line.to_sweep |= bool(changes.deleted)
        for item_id in sorted(changes.described):
            try:
                line.not_indexed |= line.learner.describe([self.catalogue.content(item_id)])
            except BadInput as error:
                log.error("item %s left out: %s", item_id, error)
                self._metrics.failures.labels(error.reason).inc()
        if line.to_sweep:
            gone = sorted((line.indexed.items() | line.not_indexed.keys()) - self.catalogue.items.keys())
            self._shelves.index.delete(MODEL_ITEMS, gone)
            line.indexed.gone(gone)
            for item_id in gone:
                line.not_indexed.pop(item_id, None)
            line.to_sweep = False
        if line.not_indexed:
            self._shelves.index.ensure(MODEL_ITEMS, line.learner.model.config.width)
            upsert(self._shelves.index, line.indexed, line.not_indexed)
            line.not_indexed = {}

    def _decoded(self, messages: Sequence[LoggedMessage]) -> list[TrainingExample]:
        examples = []
        for message in messages:
            try:
                example = decode(TrainingExample, message.value)
            except BadInput as error:
                self._refuse(message, error)
                continue
            if example.example_id in self._taken:
                self._metrics.examples.labels("repeated").inc()
                continue
            self._taken[example.example_id] = None
            if len(self._taken) > REMEMBERED_IDS:
                self._taken.popitem(last=False)
            examples.append(example)
        return examples

    def _learn(self, examples: Sequence[TrainingExample]) -> None:
        if self.line is None or not examples:
            return
        covered = [example for example in examples if self.line.covers(example)]
        new = [example for example in examples if not self.line.covers(example)]
        self.line.learner.remember(covered)
        self._metrics.examples.labels("covered").inc(len(covered))
        for start in range(0, len(new), self._settings.learner_batch):
            batch = new[start : start + self._settings.learner_batch]
            step = self.line.learner.observe(batch)
            self._metrics.examples.labels("learned").inc(step.examples)
            self._metrics.examples.labels("left_out").inc(len(batch) - step.examples)
            if step.positives:
                self._metrics.loss.set(step.softmax_loss)
                self._metrics.recall.set(step.recall_at_20)
            if step.examples:
                self._metrics.log_loss.set(step.log_loss)
            for example in batch:
                if example.traced and example.event_id:
                    self._stamp(example.event_id, Stage.LEARNED, self._clock())
        if new:
            newest = max(example.at for example in new)
            self.line.data_to = max(newest, self.line.data_to) if self.line.data_to else newest
            self._recent.extend(new)

    def _publish_when_due(self) -> None:
        line, now = self.line, self._clock()
        every_s = self._settings.learner_publish_every_s
        waited = self._published_at is None or (now - self._published_at).total_seconds() >= every_s
        if line is None or not waited:
            return
        learner = line.learner
        if learner.round.examples:
            self._published_at = now  # a publication that fails is tried again after the interval, too
            verdict = self._gates.judge(learner.finite(), learner.round.loss(), learner.probe())
            if verdict is Verdict.PUBLISH:
                with self._metrics.publish_seconds.time():
                    self._publish(line, now)
            else:
                log.error("the gate refused a round of %d examples: %s", learner.round.examples, verdict.value)
                self._metrics.refusals.labels(verdict.value).inc()
                learner.roll_back()
        if self._uncommitted:
            self._sources.feedback.commit()
            self._uncommitted = False

    def _publish(self, line: Line, now: datetime) -> None:
        learned, loss = tuple(line.learner.round.traced), line.learner.round.loss()
        version = PublishedVersion(
            version=ModelVersion(time_ordered_id("v", now)),
            parent=line.version.version,
            origin="incremental",
            created_at=now,
            data_from=line.version.data_from,
            data_to=line.data_to,
            examples=line.examples + line.learner.round.examples,
            learned_event_ids=learned,
            features=HEAD_FEATURES,
            git_revision=line.version.git_revision,
            root=line.root,
            covered_to=line.covered_to,
            metrics={} if loss is None else {"progressive_loss": loss},
        )
        deleted = frozenset(line.learner.table.vocabulary) - self.catalogue.items.keys()
        announced_at = publish(version, line.learner.checkpoint(), self._shelves, line.indexed, deleted, self._clock)
        line.examples = version.examples
        line.version = version
        line.learner.start_round()
        self._metrics.versions.inc()
        ids = line.learner.table.ids
        self._metrics.id_rows.labels("used").set(len(ids))
        self._metrics.id_rows.labels("free").set(ids.rows_in_all - len(ids))
        for event_id in learned:
            self._stamp(event_id, Stage.PUBLISHED, announced_at, version.version)
        retire(self._shelves.store)

    def _stamp(self, event_id: EventId, stage: Stage, at: datetime, version: ModelVersion | None = None) -> None:
        stamp = TraceStamp(event_id=event_id, stage=stage, at=at, model_version=version)
        self._shelves.log.publish(TRACES, event_id, encode(stamp))

    def _refuse(self, message: LoggedMessage, error: BadInput) -> None:
        letter = refused(
            message.topic, message.partition, message.offset, message.key, message.value, error, self._clock()
        )
        self._shelves.log.publish(DEAD_LETTERS, message.topic, encode(letter))
        self._metrics.dead_letters.labels(error.reason).inc()

    def _beat(self) -> None:
        now = self._clock()
        if self._beaten_at and (now - self._beaten_at).total_seconds() < self._settings.heartbeat_every_s:
            return
        self._beaten_at = now
        lag = self._sources.feedback.lag()
        for topic, behind in lag.items():
            self._metrics.lag.labels(topic).set(behind)
        self._shelves.log.publish(HEARTBEATS, "learner", encode(Heartbeat(process="learner", at=now, lag=lag)))
