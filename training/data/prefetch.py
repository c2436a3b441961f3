"""Batches made ahead of the step that uses them, by a thread."""

import threading
from collections.abc import Generator, Iterable
from queue import Empty, Full, Queue
from typing import TypeVar

T = TypeVar("T")

_END = object()
_LOOK_EVERY_S = 0.1


def prefetched(items: Iterable[T], depth: int) -> Generator[T]:
    """The same items in the same order, up to `depth` of them ready; the thread ends with the iteration.

    Raises:
        Exception: what making an item raised, at its place in the order.
    """
    ready: Queue[object] = Queue(maxsize=depth)
    stopped = threading.Event()

    def offer(item: object) -> bool:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=_LOOK_EVERY_S)
            except Full:
                continue
            return True
        return False

    def make() -> None:
        try:
            for item in items:
                if not offer(item):
                    return
            offer(_END)
        except BaseException as error:  # noqa: BLE001 - raised again by whoever takes the items
            offer(error)

    thread = threading.Thread(target=make, name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            try:
                item = ready.get(timeout=_LOOK_EVERY_S)
            except Empty:
                continue
            if item is _END:
                return
            if isinstance(item, BaseException):
                raise item
            yield item  # type: ignore[misc]  # only items of T and the two markers are offered
    finally:
        stopped.set()
        thread.join()
