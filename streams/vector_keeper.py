"""Keeping the content collections whole: a vector index that lost its rows is refilled from topic `item-vectors`.

The catalogue agent writes the index first and the topic afterwards, so the index never holds fewer items than the
topic. Where it does (a Milvus that was started anew without its disk), the topic is read again and written to it:
(1) the loss is seen at `CHECKS` checks in a row; (2) the topic is read from its beginning, each row written; (3) for
`SETTLE_S` after its end, what comes is written too, for the agent may have written between a row and its refill.
Rows of other encoders than the settings' are passed over. Some 150 bytes an item are held: its id, and whether it has a
picture.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from contracts.errors import BadInput, LogUnavailable, VectorsUnavailable
from contracts.ids import ItemId
from contracts.ports import LoggedMessage, Tail, VectorIndex, Vectors
from contracts.rows import ItemVectors
from contracts.vector_collections import CONTENT_PICTURE, CONTENT_TEXT
from contracts.vectors import vector_from_base64
from contracts.wire import decode

log = logging.getLogger(__name__)

EVERY_S = 10.0
CHECKS = 2
"""A count may be seconds old, so one low count is no loss."""

WHOLE_SHARE = 0.95
"""A collection with fewer of the topic's vectors than this has lost some."""

SETTLE_S = 30.0
RETRY_S = 2.0
POLL_S = 0.5


@dataclass(frozen=True)
class _Row:
    """An item's vectors of the settings' encoders, each of shape (D,); `deleted` for a tombstone, without either."""

    item_id: ItemId
    text: Vectors | None = None
    picture: Vectors | None = None
    deleted: bool = False


class VectorKeeper:
    """A thread that compares the index with the topic and refills it.

    Args:
        index: The vector index.
        open_tail: Opens a tail of topic `item-vectors` from its beginning; called in the thread.
        encoders: Names of the text and of the picture encoder.
        every_s: Pause between two checks.
        monotonic_s: Seconds, never going back.
    """

    def __init__(
        self,
        index: VectorIndex,
        open_tail: Callable[[], Tail],
        encoders: tuple[str, str],
        every_s: float = EVERY_S,
        monotonic_s: Callable[[], float] = time.monotonic,
    ):
        self._index = index
        self._open_tail = open_tail
        self._encoders = encoders
        self._every_s = every_s
        self._monotonic_s = monotonic_s
        self._tail: Tail | None = None
        self._pictured: dict[ItemId, bool] = {}
        self._low = 0
        self._checked_at = monotonic_s()
        self._refilling = False
        self._settled_at = 0.0
        self._unwritten: list[_Row] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vector-keeper", daemon=True)

    @property
    def refilling(self) -> bool:
        """Whether rows are missing and being written again."""
        return self._refilling

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after what it is writing; a refill that was cut off is seen again at the next start."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(10.0)

    def step(self, timeout_s: float = POLL_S) -> None:
        """One round of the thread: reads on, writes what a refill has to, and checks when it is time.

        Raises:
            LogUnavailable: the topic cannot be read; the next call goes on.
            VectorsUnavailable: the index is away; the next call goes on with the same rows.
        """
        if self._tail is None:
            self._tail = self._open_tail()
        if not self._unwritten:
            rows = [row for message in self._tail.poll(timeout_s) if (row := self._row(message)) is not None]
            self._note(rows)
            if self._refilling or self._monotonic_s() < self._settled_at:
                self._unwritten = rows
        self._write(self._unwritten)
        self._unwritten = []
        if not self._tail.caught_up():
            return
        if self._refilling:
            self._refilling = False
            self._settled_at = self._monotonic_s() + SETTLE_S
            log.warning("the content vectors of %d items are whole again", len(self._pictured))
        if self._monotonic_s() - self._checked_at >= self._every_s:
            self._check()
            self._checked_at = self._monotonic_s()

    def _check(self) -> None:
        pictures = sum(self._pictured.values())
        lacking = {
            collection: f"{found} of {expected}"
            for collection, expected in ((CONTENT_TEXT, len(self._pictured)), (CONTENT_PICTURE, pictures))
            if (found := self._index.count(collection)) < WHOLE_SHARE * expected
        }
        self._low = self._low + 1 if lacking else 0
        if self._low < CHECKS:
            return
        log.warning("the vector index lost rows (%s); refilling it from the topic", lacking)
        self._low = 0
        self._refilling = True
        self._close()
        self._pictured.clear()

    def _row(self, message: LoggedMessage) -> _Row | None:
        """None for what cannot be read, which serving counts, and for vectors of other encoders."""
        item_id = ItemId((message.key or b"").decode(errors="replace"))
        if message.value is None:
            return _Row(item_id, deleted=True)
        try:
            row = decode(ItemVectors, message.value)
            if (row.text_encoder, row.picture_encoder) != self._encoders:
                return None
            return _Row(row.item_id, _vector(row.text), _vector(row.picture))
        except (BadInput, ValueError) as error:
            log.debug("passed over a message of item-vectors: %s", error)
            return None

    def _note(self, rows: Sequence[_Row]) -> None:
        for row in rows:
            if row.deleted:
                self._pictured.pop(row.item_id, None)
            elif row.text is not None:
                self._pictured[row.item_id] = row.picture is not None

    def _write(self, rows: Sequence[_Row]) -> None:
        newest = {row.item_id: row for row in rows}
        texts = {item_id: row.text for item_id, row in newest.items() if row.text is not None}
        pictures = {item_id: row.picture for item_id, row in newest.items() if row.picture is not None}
        for collection, vectors in ((CONTENT_TEXT, texts), (CONTENT_PICTURE, pictures)):
            self._upsert(collection, vectors)
            self._index.delete(collection, [item_id for item_id in newest if item_id not in vectors])

    def _upsert(self, collection: str, vectors: Mapping[ItemId, Vectors]) -> None:
        if vectors:
            self._index.ensure(collection, len(next(iter(vectors.values()))))
            self._index.upsert(collection, vectors)

    def _close(self) -> None:
        tail, self._tail = self._tail, None
        self._unwritten = []
        if tail is not None:
            tail.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.step()
            except (LogUnavailable, VectorsUnavailable) as error:
                log.warning("the keeper of the content vectors waits: %s", error)
                self._stopping.wait(RETRY_S)
            except Exception:
                log.exception("a round of the keeper of the content vectors failed; it starts from the beginning")
                self._close()
                self._pictured.clear()
                self._stopping.wait(RETRY_S)
        self._close()


def _vector(text: str | None) -> Vectors | None:
    return None if text is None else vector_from_base64(text)
