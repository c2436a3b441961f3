"""The trace book: the stamps of the last events, and the detection of the first answers made with them.

(1) RECEIVED and LOGGED are stamped when an event is posted. (2) Stamps of other processes come by the topic `traces`.
(3) An answer whose user row includes the event stamps ANSWERED_WITH_FEATURES. (4) An answer by a version that was
trained on the event, itself or through its ancestors, stamps ANSWERED_WITH_WEIGHTS. A stage's first stamp counts. Which
events a version was trained on says its announcement, and for those that it has no room for their PUBLISHED stamps.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import datetime

from contracts.ids import EventId, ModelVersion, RequestId
from contracts.traces import Stage, Trace, TraceStamp
from contracts.versions import PublishedVersion
from services import metrics
from services.gateway.freshness import Freshness
from services.gateway.kept_stamps import KeptStamps

KEPT_EVENTS = 20_000
KEPT_VERSIONS = 1_000
"""Versions whose learned events are remembered until they are served, and as many whose line was followed."""


class TraceBook:
    """Bounded; safe for many threads.

    Args:
        send: Publishes a stamp of this process to the topic `traces`.
        kept_events: How many events are remembered, the newest ones.
    """

    def __init__(self, send: Callable[[TraceStamp], None], kept_events: int = KEPT_EVENTS):
        self.freshness = Freshness()
        self._send = send
        self._kept_events = kept_events
        self._book: OrderedDict[EventId, KeptStamps] = OrderedDict()
        self._versions: OrderedDict[ModelVersion, PublishedVersion] = OrderedDict()
        self._lineage: OrderedDict[ModelVersion, None] = OrderedDict()
        self._learned: dict[EventId, int] = {}  # by the number of the swap from which on answers are made with it
        self._swaps: OrderedDict[ModelVersion, int] = OrderedDict()
        self._swap = 0
        self._published: OrderedDict[ModelVersion, list[EventId]] = OrderedDict()
        self._lock = threading.Lock()

    def stamp(self, event_ids: Iterable[EventId], stage: Stage, at: datetime) -> None:
        """Stamps events of this process and publishes the stamps."""
        for event_id in event_ids:
            self._add(TraceStamp(event_id=event_id, stage=stage, at=at), own=True)

    def observe(self, stamp: TraceStamp) -> None:
        """Takes a stamp from the topic `traces` (its own come back too, and change nothing)."""
        self._add(stamp, own=False)

    def announced(self, version: PublishedVersion) -> None:
        """A version was published."""
        with self._lock:
            if version.version not in self._lineage:
                self._versions[version.version] = version
            while len(self._versions) > KEPT_VERSIONS:
                self._versions.popitem(last=False)

    def swapped(self, version: PublishedVersion) -> None:
        """`version` serves from now on: what it and its ancestors learned will be answered with."""
        with self._lock:
            self._swap += 1
            self._swaps[version.version] = self._swap
            while len(self._swaps) > KEPT_VERSIONS:
                self._swaps.popitem(last=False)
            known = version
            while known.version not in self._lineage:
                self._lineage[known.version] = None
                self._versions.pop(known.version, None)
                learned = (*known.learned_event_ids, *self._published.pop(known.version, ()))
                self._learned.update(dict.fromkeys(learned, self._swap))
                parent = self._versions.get(known.parent) if known.parent else None
                if parent is None:
                    break
                known = parent
            while len(self._lineage) > KEPT_VERSIONS:
                self._lineage.popitem(last=False)
            while len(self._learned) > self._kept_events:
                del self._learned[next(iter(self._learned))]

    def answered(
        self, request_id: RequestId, version: ModelVersion | None, features_of: Iterable[str], at: datetime
    ) -> None:
        """An answer is done.

        Args:
            request_id: The answer.
            version: The version that ranked it; None when none did.
            features_of: Events that the user's row included.
            at: The end of the answer.
        """
        with self._lock:
            felt = [EventId(name) for name in features_of if self._awaits(EventId(name), Stage.ANSWERED_WITH_FEATURES)]
            weighed: list[EventId] = []
            if version is not None:
                # An answer under way at a swap may end after it with the version before.
                swap = self._swaps.get(version, 0)
                done = [event_id for event_id, learned_at in self._learned.items() if learned_at <= swap]
                weighed = [event_id for event_id in done if self._awaits(event_id, Stage.ANSWERED_WITH_WEIGHTS)]
                for event_id in done:
                    del self._learned[event_id]
        for stage, event_ids in ((Stage.ANSWERED_WITH_FEATURES, felt), (Stage.ANSWERED_WITH_WEIGHTS, weighed)):
            for event_id in event_ids:
                stamp = TraceStamp(event_id=event_id, stage=stage, at=at, model_version=version, request_id=request_id)
                self._add(stamp, own=True)

    def trace(self, event_id: EventId) -> Trace | None:
        """The stamps in the order of their stages; None for an event that is not remembered."""
        with self._lock:
            kept = self._book.get(event_id)
            if kept is None:
                return None
            return Trace(
                event_id=event_id,
                stamps=kept.stamps(event_id),
                click_to_ranking_s=kept.seconds_to(Stage.ANSWERED_WITH_FEATURES),
                click_to_weights_s=kept.seconds_to(Stage.ANSWERED_WITH_WEIGHTS),
            )

    def _awaits(self, event_id: EventId, stage: Stage) -> bool:
        stamps = self._book.get(event_id)
        return stamps is not None and Stage.RECEIVED in stamps and stage not in stamps

    def _learned_by(self, version: ModelVersion, event_id: EventId) -> None:
        """An announcement names so many events at most: the stamps of the others name the version."""
        if version in self._lineage:
            self._learned.setdefault(event_id, self._swap)
            return
        self._published.setdefault(version, []).append(event_id)
        while len(self._published) > KEPT_VERSIONS or len(self._published[version]) > self._kept_events:
            self._published.popitem(last=False)
            if version not in self._published:
                return

    def _add(self, stamp: TraceStamp, own: bool) -> None:
        with self._lock:
            kept = self._book.get(stamp.event_id)
            if kept is None:
                kept = self._book[stamp.event_id] = KeptStamps()
            if not kept.add(stamp):
                return
            while len(self._book) > self._kept_events:
                self._book.popitem(last=False)
            if stamp.stage is Stage.PUBLISHED and stamp.model_version is not None:
                self._learned_by(stamp.model_version, stamp.event_id)
            seconds = kept.seconds_to(stamp.stage)
        if seconds is not None and stamp.stage is Stage.ANSWERED_WITH_FEATURES:
            self.freshness.ranked_after(seconds)
            if own:
                metrics.CLICK_TO_RANKING_SECONDS.observe(seconds)
        if seconds is not None and stamp.stage is Stage.ANSWERED_WITH_WEIGHTS:
            self.freshness.weighed_after(seconds)
            if own:
                metrics.CLICK_TO_WEIGHTS_SECONDS.observe(seconds)
        if own:
            self._send(stamp)
