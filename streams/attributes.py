"""Category and brand of every item, in memory, from the topic `items`: what affinities read while folding.

A deleted item keeps its attributes: events on it may still come. Messages that cannot be read are the catalogue agent's
to refuse; here they are passed over.
"""

import logging
import threading
from collections.abc import Callable

from contracts.clock import Clock, utc_now
from contracts.errors import BadInput, LogUnavailable
from contracts.events import ItemUpserted
from contracts.ids import ItemId
from contracts.ports import LoggedMessage, Tail
from contracts.wire import decode_catalogue_event
from streams.state.user_features import Attributes

log = logging.getLogger(__name__)

RETRY_S = 1.0

FAILURES_BEFORE_THE_END = 3
"""Unexpected failures in a row after which the process is given up, to be started anew."""


class CatalogueAttributes:
    """The map from item to attributes."""

    def __init__(self, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._by_item: dict[ItemId, Attributes] = {}

    def __len__(self) -> int:
        return len(self._by_item)

    def get(self, item_id: ItemId) -> Attributes | None:
        """The item's attributes; None for an item never in the catalogue."""
        return self._by_item.get(item_id)

    def apply(self, message: LoggedMessage) -> None:
        """One message of the topic `items`."""
        try:
            event = decode_catalogue_event(message.value, message.judged_at(self._clock()))
        except BadInput as error:
            log.debug("passed over a catalogue message: %s", error)
            return
        if isinstance(event, ItemUpserted):
            self._by_item[event.item.item_id] = Attributes(event.item.category, event.item.brand)


class AttributesFollower:
    """A thread that keeps the map up to date from a tail.

    Args:
        attributes: The map.
        open_tail: Opens a tail of the topic `items` from its beginning; called in the thread.
        give_up: Ends the process so that it is started anew; called with the reason.
    """

    def __init__(
        self,
        attributes: CatalogueAttributes,
        open_tail: Callable[[], Tail],
        give_up: Callable[[str], None] = lambda _: None,
    ):
        self._give_up = give_up
        self._attributes = attributes
        self._open_tail = open_tail
        self._caught_up = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="catalogue-attributes", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread."""
        self._stopping.set()
        self._thread.join(5.0)

    def wait_until_caught_up(self, timeout_s: float) -> None:
        """Waits until all that the topic held at the start is in the map.

        Raises:
            LogUnavailable: it is not after `timeout_s`.
        """
        if not self._caught_up.wait(timeout_s):
            raise LogUnavailable(
                f"found the catalogue not read after {timeout_s} s ({len(self._attributes)} items so far); expected it "
                "whole, for affinities need it; check the broker"
            )

    def _run(self) -> None:
        tail, failed = self._open_tail(), 0
        try:
            while not self._stopping.is_set():
                try:
                    for message in tail.poll(0.5):
                        self._attributes.apply(message)
                    if not self._caught_up.is_set() and tail.caught_up():
                        self._caught_up.set()
                    failed = 0
                except LogUnavailable as error:
                    log.warning("the catalogue's attributes wait: %s", error)
                    self._stopping.wait(RETRY_S)
                except Exception:
                    failed += 1
                    log.exception("the catalogue's attributes failed, %d in a row", failed)
                    if failed >= FAILURES_BEFORE_THE_END:
                        self._give_up(f"the catalogue's attributes failed {failed} times in a row")
                    self._stopping.wait(RETRY_S)
        finally:
            tail.close()
