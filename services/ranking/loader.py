"""Loading announced versions and adding vectors for new items, in a thread of its own.

A version that cannot be loaded is counted and skipped: the one in memory stays. Announcements that pile up while a
version loads are skipped but for the newest. New items get vectors from the model's item tower at most once a second.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from contracts.errors import BadCheckpoint, BadInput, ModelError, UnknownFormat
from contracts.ids import ItemId, ModelVersion
from contracts.versions import PublishedVersion
from services import metrics
from services.ranking.slot import LoadedModel, ModelSlot, loaded
from services.retrieval.catalogue_view import CatalogueView
from training.model.serving import EMPTY_HISTORY, ItemContent, ServingModel

log = logging.getLogger(__name__)

NEW_ITEMS_EVERY_S = 1.0
RETRY_AFTER_S = 2.0

LoadModel = Callable[[ModelVersion], ServingModel]
"""Loads a version from the model store. Raises BadCheckpoint."""


class SwapListener(Protocol):
    """Told of each swap, by the loader's thread."""

    def __call__(self, version: PublishedVersion) -> None:
        """`version` serves from now on."""
        ...


class ModelLoader:
    """Keeps the slot at the newest version that can be loaded.

    Args:
        slot: Where the model is served from.
        view: The catalogue, for items that the version does not know.
        load: Loads a version.
        on_swap: Told after each swap to another version.
    """

    def __init__(self, slot: ModelSlot, view: CatalogueView, load: LoadModel, on_swap: SwapListener):
        self._slot = slot
        self._view = view
        self._load = load
        self._on_swap = on_swap
        self._wanted: PublishedVersion | None = None
        self._lines: dict[ModelVersion, int] = {}  # by root, in the order of the log
        self._base: ServingModel | None = None
        self._attempts = 0
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="model-loader", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stops the thread after what it is doing."""
        self._stopped.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    @property
    def settled(self) -> bool:
        """Whether the newest version announced is served, or none can be."""
        wanted = self._wanted
        return wanted is None or (self._base is not None and self._base.version.version == wanted.version)

    def announce(self, version: PublishedVersion) -> None:
        """A version was published; called by the tail.

        The last one in the log is the newest, whatever its name. One alone is left out: a straggler of a line that
        another batch version has replaced, since the learner may publish once more before it sees that version.
        """
        line = version.line
        if line is not None and (version.origin == "batch" or line not in self._lines):
            # A batch version that is announced again is a person's way back: its line is the newest then.
            self._lines[line] = max(self._lines.values(), default=0) + 1
        wanted = self._wanted.line if self._wanted is not None else None
        if line is not None and wanted is not None and self._lines[line] < self._lines[wanted]:
            return
        self._wanted, self._attempts = version, 0
        self._wake.set()

    def step(self) -> None:
        """Loads what is wanted, then adds what is new: one round of the thread."""
        wanted = self._wanted
        if wanted is not None and (self._base is None or self._base.version.version != wanted.version):
            self._load_wanted(wanted)
        self._add_new_items()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._wake.wait(NEW_ITEMS_EVERY_S)
            self._wake.clear()
            try:
                self.step()
            except Exception:
                metrics.MODEL_LOADS.labels(outcome="failed").inc()
                log.exception("a round of the model loader failed; the version in memory stays")

    def _load_wanted(self, wanted: PublishedVersion) -> None:
        started = time.monotonic()
        try:
            base = self._tried(self._load(wanted.version))
        except (ModelError, UnknownFormat, OSError) as error:
            # The directory may reach this machine after its announcement: three attempts, then wait for the next one.
            self._attempts += 1
            metrics.MODEL_LOADS.labels(outcome="bad_checkpoint").inc()
            log.warning("version %s cannot be loaded, attempt %d: %s", wanted.version, self._attempts, error)
            if self._attempts >= 3 and self._wanted is wanted:
                self._wanted = self._base.version if self._base else None
            self._stopped.wait(RETRY_AFTER_S if self._wanted is wanted else 0)
            return
        new = self._new_items(base)
        self._base = base
        self._slot.swap(self._extended(base, new))
        metrics.MODEL_LOADS.labels(outcome="loaded").inc()
        metrics.MODEL_LOAD_SECONDS.observe(time.monotonic() - started)
        self._on_swap(base.version)

    def _tried(self, model: ServingModel) -> ServingModel:
        """The model after its first ranking, ten times as slow as the next ones: no request should pay for it."""
        try:
            model.rank(EMPTY_HISTORY, None, model.item_ids[:50], self._view.features, round(time.time() * 1000))
        except Exception as error:
            raise BadCheckpoint(
                f"found that version {model.version.version} cannot rank ({error!r}); expected scores; it is not served"
            ) from error
        return model

    def _add_new_items(self) -> None:
        if self._base is None:
            return
        new = self._new_items(self._base)
        if new.keys() != self._slot.current().fresh:
            self._slot.swap(self._extended(self._base, new))

    def _new_items(self, base: ServingModel) -> dict[ItemId, ItemContent]:
        known = frozenset(base.item_ids)
        found: dict[ItemId, ItemContent] = {}
        for item_id in self._view.with_content():
            item, content = self._view.item(item_id), self._view.content(item_id)
            if item_id not in known and item is not None and content is not None:
                found[item_id] = ItemContent(item=item, text=content.text, picture=content.picture)
        return found

    @staticmethod
    def _extended(base: ServingModel, new: dict[ItemId, ItemContent]) -> LoadedModel:
        try:
            return loaded(base.with_items(new) if new else base, frozenset(new))
        except BadInput as error:
            log.warning("version %s takes no new items: %s", base.version.version, error)
            return loaded(base, frozenset(new))
