"""What the gateway is made of, and how the parts are put together from the adapters of the ports.

`Adapters` is what differs between a real replica (`wiring.py`) and a test (in-memory); the rest is the same.
"""

import asyncio
import logging
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Protocol

from contracts.clock import Clock, utc_now
from contracts.errors import FeaturesUnavailable, Unavailable, VectorsUnavailable
from contracts.ids import UserId
from contracts.ports import ContentVectors, EventLog, FeatureStore, PictureStore, Tail, VectorIndex
from contracts.settings import Settings
from contracts.topics import TRACES
from contracts.traces import TraceStamp
from contracts.vector_collections import CONTENT_TEXT
from contracts.wire import encode
from services.bounded import Bounded
from services.gateway import refill_watch, vector_watch
from services.gateway.feed import Feed
from services.gateway.liveness import Liveness
from services.gateway.log_writer import LogWriter, Outgoing
from services.gateway.refill_watch import RefillWatch
from services.gateway.repeated import Repeated
from services.gateway.tail_thread import TailThread
from services.gateway.traces import TraceBook
from services.gateway.vector_watch import VectorWatch
from services.ranking.loader import LoadModel, ModelLoader
from services.ranking.slot import ModelSlot
from services.retrieval.candidates import CandidateSource
from services.retrieval.catalogue_view import CatalogueView
from services.retrieval.co_visit import CoVisitSource
from services.retrieval.content import ContentSource
from services.retrieval.model import ModelSource
from services.retrieval.trending import TrendingSource

log = logging.getLogger(__name__)

VECTOR_THREADS = 4
COMPUTE_THREADS = 2
WARM_UP_TIMEOUT_S = 30.0
FIRST_MODEL_TIMEOUT_S = 20.0
SEARCH_SHARE = 0.4
"""Share of the request's deadline that one vector search may take."""


class AsyncEmbedder(Protocol):
    """The encoders as the event loop calls them: the Embedding deployment, or a double."""

    async def encode(self, texts: list[str], pictures: list[bytes]) -> ContentVectors:
        """Vectors of unit length, a picture's None where it is unreadable. Raises EmbeddingUnavailable."""
        ...


@dataclass(frozen=True)
class Adapters:
    """The outside of one gateway replica."""

    log: EventLog
    tail: Tail
    features: FeatureStore
    index: VectorIndex
    pictures: PictureStore
    embedder: AsyncEmbedder
    load_model: LoadModel


@dataclass(frozen=True)
class GatewayParts:
    """Everything that routes and flows use; one a replica."""

    settings: Settings
    clock: Clock
    adapters: Adapters
    log: LogWriter
    feature_calls: Bounded
    vector_calls: Bounded
    picture_calls: Executor
    compute: Executor
    view: CatalogueView
    slot: ModelSlot
    loader: ModelLoader
    sources: tuple[CandidateSource, ...]
    traces: TraceBook
    liveness: Liveness
    refill: RefillWatch
    vector_watch: VectorWatch
    watching: tuple[Repeated, ...]
    tail: TailThread

    def start(self) -> None:
        """Starts the threads that follow the log and load models."""
        self.loader.start()
        self.tail.start()

    async def warm_up(self) -> None:
        """Makes the first calls of the stores, which take seconds, and starts to watch whether they lost rows.

        A store that is away is called again by requests.
        """
        for calls, first in (
            (self.feature_calls, partial(self.adapters.features.read_user, UserId("warm-up"))),
            (self.vector_calls, partial(self.adapters.index.count, CONTENT_TEXT)),
        ):
            try:
                await calls.call(WARM_UP_TIMEOUT_S, first)
            except Unavailable as error:
                log.warning("%s is away at the start: %s", calls.name, error)
        await self.refill.step()
        for watch in self.watching:
            watch.start()

    async def first_model(self) -> None:
        """Waits a while for the version that was announced last, so that the first answers are ranked by it."""
        deadline_s = time.monotonic() + FIRST_MODEL_TIMEOUT_S
        while not self.loader.settled and time.monotonic() < deadline_s:
            await asyncio.sleep(0.05)

    def stop(self) -> None:
        """Stops the threads and flushes what was not yet acknowledged."""
        for watch in self.watching:
            watch.stop()
        self.tail.stop()
        self.loader.stop()
        self.feature_calls.close()
        self.vector_calls.close()
        self.log.close()


def build_parts(settings: Settings, adapters: Adapters, clock: Clock = utc_now) -> GatewayParts:
    """Puts the parts together; nothing is started and nothing connected."""
    log = LogWriter(adapters.log, settings.publish_timeout_s)
    view = CatalogueView(settings.trend_half_life_s)
    slot = ModelSlot()
    traces = TraceBook(send=lambda stamp: _send_stamp(log, stamp))
    liveness = Liveness(timedelta(seconds=settings.heartbeat_stale_after_s))
    loader = ModelLoader(slot, view, adapters.load_model, on_swap=traces.swapped)
    # One thread: a Feast store on SQLite is not shared by threads.
    features = Bounded("feature store", FeaturesUnavailable, 1)
    vectors = Bounded("vector index", VectorsUnavailable, VECTOR_THREADS)
    refill, vectors_lost = RefillWatch(adapters.features, features), VectorWatch(adapters.index, vectors, view, slot)
    compute = ThreadPoolExecutor(COMPUTE_THREADS, thread_name_prefix="compute")
    search_s = settings.request_deadline_ms / 1000 * SEARCH_SHARE
    return GatewayParts(
        settings=settings,
        clock=clock,
        adapters=adapters,
        log=log,
        feature_calls=features,
        vector_calls=vectors,
        picture_calls=ThreadPoolExecutor(2, thread_name_prefix="pictures"),
        compute=compute,
        view=view,
        slot=slot,
        loader=loader,
        sources=(
            ModelSource(
                slot, view, adapters.index, vectors, compute, search_s, whole=lambda: not vectors_lost.lacks_model
            ),
            CoVisitSource(view),
            ContentSource(view, adapters.index, vectors, search_s, whole=lambda: not vectors_lost.refilling),
            TrendingSource(view),
        ),
        traces=traces,
        liveness=liveness,
        refill=refill,
        vector_watch=vectors_lost,
        watching=(
            Repeated("refill-watch", refill.step, refill_watch.EVERY_S),
            Repeated("vector-watch", vectors_lost.step, vector_watch.EVERY_S),
        ),
        tail=TailThread(adapters.tail, Feed(settings, view, loader, traces, liveness, clock)),
    )


def _send_stamp(log: LogWriter, stamp: TraceStamp) -> None:
    log.send(Outgoing(TRACES, stamp.event_id, encode(stamp)))
