"""What the log tells the gateway: one method a topic. A message that cannot be used is counted and left out."""

import logging
from collections.abc import Callable

from contracts.clock import Clock
from contracts.errors import BadInput, InvalidMessage, UnknownFormat
from contracts.events import ItemUpserted
from contracts.heartbeats import Heartbeat
from contracts.ids import ItemId
from contracts.ports import LoggedMessage, Vectors
from contracts.rows import ItemFeatureRow, ItemVectors
from contracts.settings import Settings
from contracts.topics import HEARTBEATS, ITEM_FEATURES, ITEM_VECTORS, ITEMS, MODEL_VERSIONS, TRACES
from contracts.traces import TraceStamp
from contracts.vectors import vector_from_base64
from contracts.versions import PublishedVersion
from contracts.wire import decode, decode_catalogue_event
from services import metrics
from services.gateway.liveness import Liveness
from services.gateway.traces import TraceBook
from services.ranking.loader import ModelLoader
from services.retrieval.catalogue_view import CatalogueView, Content

log = logging.getLogger(__name__)

NEWEST_OF = (TRACES, HEARTBEATS)
"""Topics of which the last messages are enough: a replica that starts does not wait for a day of them."""

FED_BY = (ITEMS, ITEM_FEATURES, ITEM_VECTORS, MODEL_VERSIONS, *NEWEST_OF)


class Feed:
    """Applies messages to the catalogue view, the model loader, the trace book and the liveness."""

    def __init__(
        self, settings: Settings, view: CatalogueView, loader: ModelLoader, traces: TraceBook, liveness: Liveness,
        clock: Clock,
    ):  # fmt: skip
        self._encoders = (settings.text_encoder, settings.picture_encoder)
        self._view = view
        self._loader = loader
        self._traces = traces
        self._liveness = liveness
        self._clock = clock
        self._apply: dict[str, Callable[[LoggedMessage], None]] = {
            ITEMS.name: self._item,
            ITEM_FEATURES.name: self._item_features,
            ITEM_VECTORS.name: self._item_vectors,
            MODEL_VERSIONS.name: self._model_version,
            TRACES.name: self._trace,
            HEARTBEATS.name: self._heartbeat,
        }

    def apply(self, message: LoggedMessage) -> None:
        """Applies one message; called by the tail's thread in the order of the log."""
        metrics.TAILED.labels(topic=message.topic).inc()
        try:
            self._apply[message.topic](message)
        except (BadInput, UnknownFormat) as error:
            metrics.REFUSED.labels(topic=message.topic, reason=error.reason).inc()
            log.warning("%s[%d]@%d left out: %s", message.topic, message.partition, message.offset, error)
        except Exception:
            # One message must not cost the others of its poll.
            metrics.REFUSED.labels(topic=message.topic, reason="unexpected").inc()
            log.exception("%s[%d]@%d left out", message.topic, message.partition, message.offset)

    def refresh(self) -> None:
        """Brings the orders of the catalogue up to date; called between batches."""
        self._view.refresh()
        metrics.CATALOGUE_ITEMS.set(len(self._view))

    def settle(self) -> None:
        """Everything that was in the log at the start has been applied."""
        self._view.settle()

    def _item(self, message: LoggedMessage) -> None:
        if message.value is None:
            self._view.remove(_item_id(message))
            return
        event = decode_catalogue_event(message.value, message.judged_at(self._clock()))
        if isinstance(event, ItemUpserted):
            self._view.put(event.item)
        else:
            self._view.remove(event.item_id)

    def _item_features(self, message: LoggedMessage) -> None:
        if message.value is None:
            self._view.put_features(_item_id(message), None)
            return
        row = decode(ItemFeatureRow, message.value)
        self._view.put_features(row.item_id, row.features())

    def _item_vectors(self, message: LoggedMessage) -> None:
        if message.value is None:
            self._view.put_content(_item_id(message), None)
            return
        row = decode(ItemVectors, message.value)
        if (row.text_encoder, row.picture_encoder) != self._encoders:
            raise InvalidMessage(
                f"found vectors of {row.text_encoder} and {row.picture_encoder}; "
                f"expected {' and '.join(self._encoders)}; load the catalogue again to have them computed anew"
            )
        self._view.put_content(row.item_id, Content(_vector(row.text), _vector(row.picture)))

    def _model_version(self, message: LoggedMessage) -> None:
        version = decode(PublishedVersion, message.value)
        self._traces.announced(version)
        self._loader.announce(version)

    def _trace(self, message: LoggedMessage) -> None:
        self._traces.observe(decode(TraceStamp, message.value))

    def _heartbeat(self, message: LoggedMessage) -> None:
        if message.value is not None:
            self._liveness.beat(decode(Heartbeat, message.value))


def _item_id(message: LoggedMessage) -> ItemId:
    if message.key is None:
        raise InvalidMessage("found a tombstone without a key; expected an item id")
    return ItemId(message.key.decode())


def _vector(text: str | None) -> Vectors | None:
    return None if text is None else vector_from_base64(text)
