"""The flow of the learner: feedback -> test -> learn -> gate -> publish -> commit. One `turn` after another.

A publication and the progress in the log:
1. Examples are polled, tested and learned from; nothing is committed.
2. The gate judges the round; a refused round is rolled back, and its examples count as consumed.
3. The version is published (training/publish.py: directory, vectors, announcement).
4. The group's offsets are committed.
A crash before 3 is done learns the round's examples again, from the version before. After it they come again, too, but
the announced version says that it has learned them (`feedback_to`).
"""

import logging
from collections import OrderedDict, deque
from collections.abc import Sequence
from copy import copy
from datetime import datetime

from contracts.clock import Clock
from contracts.deadletters import refused
from contracts.errors import BadInput, CheckpointNotSaved, LogUnavailable, Unavailable
from contracts.examples import TrainingExample
from contracts.heartbeats import Heartbeat
from contracts.ids import EventId, ExampleId, ModelVersion, time_ordered_id
from contracts.ports import LoggedMessage
from contracts.settings import Settings
from contracts.topics import DEAD_LETTERS, HEARTBEATS, TRACES
from contracts.traces import Stage, TraceStamp
from contracts.versions import MOST_NAMED_EVENTS, PublishedVersion
from contracts.wire import decode, encode
from training.incremental.adoption import Adoption
from training.incremental.catalogue import Catalogue
from training.incremental.gate import Verdict
from training.incremental.line import Line, Placed
from training.incremental.metrics import LearnerMetrics
from training.incremental.retention import KEPT, KEPT_ON_A_FULL_DISK, Unacknowledged, retire
from training.incremental.sources import Sources
from training.incremental.upkeep import Upkeep
from training.model.features import HEAD_FEATURES
from training.publish import Shelves, publish

__all__ = ["LearnerFlow", "Sources"]

log = logging.getLogger(__name__)

POLL_S = 0.1
REPLAYED_AFTER_BATCH = 20_000
"""Newest examples kept to learn again those that a new batch version has not seen."""

REMEMBERED_IDS = 50_000
"""Newest examples known by their ids, so that one which is delivered again is not learned again."""


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
        self._read_to: dict[int, int] = {}
        self._recent: deque[Placed] = deque(maxlen=REPLAYED_AFTER_BATCH)
        self._taken: OrderedDict[ExampleId, None] = OrderedDict()
        self._adoption = Adoption(shelves.store, metrics, clock)
        self._upkeep = Upkeep(shelves, metrics, clock)
        self._unacknowledged = Unacknowledged(shelves.store)
        self._first_look = True
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
            self._retire(KEPT_ON_A_FULL_DISK)

    def _follow_catalogue(self) -> None:
        for message in self._sources.catalogue.poll(0.0 if self.line is not None else POLL_S):
            try:
                self.catalogue.take(message, self._clock())
            except BadInput as error:
                self._refuse(message, error)
        if not self._sources.catalogue.caught_up():
            return
        self._note_announcements()
        self._adopt()
        if self.line is not None:
            self._upkeep.follow(self.line, self.catalogue)

    def _adopt(self) -> None:
        """Begins a line where there is one to begin; the examples that its root has not seen are learned again."""
        found = self._adoption.next(
            self.catalogue, root=self.line.root if self.line else None, learning=self.line is not None
        )
        if found is None:
            return
        given = self._settings
        line = Line.begin(found, self.catalogue, self._metrics, given.seed, given.id_admit_after)
        if self.line is not None:
            line.learner.reservoir = self.line.learner.reservoir
        self.line = line
        unseen = [placed for placed in self._recent if not line.covers(placed)]
        self._recent.clear()
        log.info("learning from %s (%s), %d newer examples", found.version.version, found.version.origin, len(unseen))
        self._learn(unseen)

    def _note_announcements(self) -> None:
        """Tells the store in which order versions were announced; at a start, what a crash kept from being noted."""
        versions = self.catalogue.announcements()
        known = set(self._shelves.store.announced()) if self._first_look else set()
        self._first_look = False
        for version in versions:
            if version in known and version != versions[-1]:
                continue
            try:
                self._shelves.store.mark_announced(version)
            except OSError as error:
                log.warning("the store could not note that version %s is announced: %s", version, error)

    def _decoded(self, messages: Sequence[LoggedMessage]) -> list[Placed]:
        examples = []
        for message in messages:
            self._read_to[message.partition] = message.offset + 1
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
            examples.append(Placed(example, message.partition, message.offset))
        return examples

    def _learn(self, placed: Sequence[Placed]) -> None:
        if self.line is None or not placed:
            return
        covered = [each.example for each in placed if self.line.covers(each)]
        unseen = [each for each in placed if not self.line.covers(each)]
        new = [each.example for each in unseen]
        named = len(self.line.learner.round.traced)
        self.line.learner.remember(covered)
        self._stamp_learned(self.line.learner.round.traced[named:])
        self._metrics.examples.labels("covered").inc(len(covered))
        for start in range(0, len(new), self._settings.learner_batch):
            batch = new[start : start + self._settings.learner_batch]
            named = len(self.line.learner.round.traced)
            step = self.line.learner.observe(batch)
            self._metrics.examples.labels("learned").inc(step.examples)
            self._metrics.examples.labels("capped").inc(step.capped)
            self._metrics.examples.labels("left_out").inc(len(batch) - step.examples - step.capped)
            if step.positives:
                self._metrics.loss.set(step.softmax_loss)
                self._metrics.recall.set(step.recall_at_20)
            if step.examples:
                self._metrics.log_loss.set(step.log_loss)
            self._stamp_learned(self.line.learner.round.traced[named:])
        if new:
            newest = max(example.at for example in new)
            self.line.data_to = max(newest, self.line.data_to) if self.line.data_to else newest
            self._recent.extend(unseen)

    def _publish_when_due(self) -> None:
        line, now = self.line, self._clock()
        every_s = self._settings.learner_publish_every_s
        waited = self._published_at is None or (now - self._published_at).total_seconds() >= every_s
        if line is None or not waited:
            return
        learner = line.learner
        if learner.round.examples:
            self._published_at = now  # a publication that fails is tried again after the interval, too
            items = len(learner.table.vocabulary)
            before = copy(line.gates)
            verdict = line.gates.judge(learner.finite(), learner.round.loss(), learner.probe(), items)
            if verdict is Verdict.PUBLISH:
                try:
                    with self._metrics.publish_seconds.time():
                        self._publish(line, now)
                except (Unavailable, CheckpointNotSaved):
                    line.gates = before  # the same round is judged again, and counts once
                    raise
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
            learned_event_ids=learned[-MOST_NAMED_EVENTS:],
            features=HEAD_FEATURES,
            git_revision=line.version.git_revision,
            root=line.root,
            covered_to=line.covered_to,
            feedback_to=self._feedback_to(line),
            metrics={} if loss is None else {"progressive_loss": loss},
            gate=line.gates.state(),
        )
        deleted = frozenset(line.learner.table.vocabulary) - self.catalogue.items.keys()
        checkpoint = line.learner.checkpoint()
        try:
            announced_at = publish(version, checkpoint, self._shelves, line.indexed, deleted, self._clock)
        except LogUnavailable:
            self._unacknowledged.add(version.version)
            raise
        self._unacknowledged.overtaken()
        line.examples = version.examples
        line.version = version
        line.learner.start_round()
        self._metrics.versions.inc()
        ids = line.learner.table.ids
        self._metrics.id_rows.labels("used").set(len(ids))
        self._metrics.id_rows.labels("free").set(ids.rows_in_all - len(ids))
        for event_id in learned:
            self._stamp(event_id, Stage.PUBLISHED, announced_at, version.version)
        self._retire(KEPT)

    def _feedback_to(self, line: Line) -> dict[int, int]:
        """Everything before these places is in the version, or was judged: a restart does not learn it again."""
        places = {*line.feedback_to, *self._read_to}
        return {each: max(line.feedback_to.get(each, 0), self._read_to.get(each, 0)) for each in sorted(places)}

    def _stamp_learned(self, event_ids: Sequence[EventId]) -> None:
        for event_id in event_ids:
            self._stamp(event_id, Stage.LEARNED, self._clock())

    def _retire(self, keep: int) -> None:
        in_use = [self.catalogue.announced, self.catalogue.batch]
        spared = {version.version for version in in_use if version is not None}
        if self.line is not None:
            spared |= {self.line.version.version, self.line.root or self.line.version.version}
        retire(self._shelves.store, keep, spared)

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
