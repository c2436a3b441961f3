"""What the gateway is made of, and how the parts are put together from the adapters of the ports.

`Adapters` is what differs between a real replica (`wiring.py`) and a test (in-memory); the rest is the same.
"""

import logging
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
from contracts.vector_collections import MODEL_ITEMS
from contracts.wire import encode
from services.bounded import Bounded
from services.gateway.feed import Feed
from services.gateway.liveness import Liveness
from services.gateway.log_writer import LogWriter, Outgoing
from services.gateway.tail_thread import TailThread
from services.gateway.traces import TraceBook
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
    tail: TailThread

    def start(self) -> None:
        """Starts the threads that follow the log and load models."""
        self.loader.start()
        self.tail.start()

    async def warm_up(self) -> None:
        """Makes the first calls of the stores, which take seconds; a store that is away is asked again by requests."""
        for calls, first in (
            (self.feature_calls, partial(self.adapters.features.read_user, UserId("warm-up"))),
            (self.vector_calls, partial(self.adapters.index.count, MODEL_ITEMS)),
        ):
            try:
                await calls.call(WARM_UP_TIMEOUT_S, first)
            except Unavailable as error:
                log.warning("%s is away at the start: %s", calls.name, error)

    def stop(self) -> None:
        """Stops the threads and flushes what was not yet acknowledged."""
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
    vectors = Bounded("vector index", VectorsUnavailable, VECTOR_THREADS)
    compute = ThreadPoolExecutor(COMPUTE_THREADS, thread_name_prefix="compute")
    search_s = settings.request_deadline_ms / 1000 * SEARCH_SHARE
    return GatewayParts(
        settings=settings,
        clock=clock,
        adapters=adapters,
        log=log,
        # One thread: a Feast store on SQLite is not shared by threads.
        feature_calls=Bounded("feature store", FeaturesUnavailable, 1),
        vector_calls=vectors,
        picture_calls=ThreadPoolExecutor(2, thread_name_prefix="pictures"),
        compute=compute,
        view=view,
        slot=slot,
        loader=loader,
        sources=(
            ModelSource(slot, view, adapters.index, vectors, compute, search_s),
            CoVisitSource(view),
            ContentSource(view, adapters.index, vectors, search_s),
            TrendingSource(view),
        ),
        traces=traces,
        liveness=liveness,
        tail=TailThread(adapters.tail, Feed(settings, view, loader, traces, liveness, clock)),
    )


def _send_stamp(log: LogWriter, stamp: TraceStamp) -> None:
    log.send(Outgoing(TRACES, stamp.event_id, encode(stamp)))
