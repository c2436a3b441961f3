"""How often an id was seen lately, in a fixed number of bytes: what a table asks before it gives an id a row.

W counters a line, L lines, n ids.
"""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contracts.ids import ItemId

LINES = 4
MOST_COUNT = 255
_ODD = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93], dtype=np.uint64
)  # one multiplier a line


class FrequencySketch:
    """Counts that are never too low, in W * `LINES` bytes.

    A count-min sketch (Cormode & Muthukrishnan 2005, sec. 3) with conservative update (Estan & Varghese 2002, sec. 3.2)
    and multiply-shift hashes of an id's CRC-32 (Dietzfelbinger et al. 1997). Every W ids all counts are halved, as in
    TinyLFU (Einziger et al. 2017, sec. 3.3): an endless stream of ids seen once would otherwise fill the counters until
    every new id looked frequent. So a count is of about the last W ids, and "never too low" is meant between halvings.

    Args:
        counters: W is the next power of two, at least 1,024.
    """

    def __init__(self, counters: int) -> None:
        self._bits = max(10, (counters - 1).bit_length())
        self._counts = np.zeros((LINES, 1 << self._bits), dtype=np.uint8)
        self._since_halving = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the counters: all that grows with W, and nothing grows with the stream."""
        return self._counts.nbytes

    def add(self, ids: Sequence[ItemId]) -> NDArray[np.int64]:
        """Counts each of n ids once more, repeated ones as often as they stand there; their counts after it, (n,)."""
        hashes = np.array([zlib.crc32(item_id.encode()) for item_id in ids], dtype=np.uint64)  # (n,)
        different, inverse, times = np.unique(hashes, return_inverse=True, return_counts=True)
        places = self._places(different)  # (L, different)
        least = np.take_along_axis(self._counts, places, axis=1).min(axis=0)  # (different,)
        raised = np.minimum(least + times, MOST_COUNT)  # (different,)
        for line, at in zip(self._counts, places, strict=True):
            np.maximum.at(line, at, raised.astype(np.uint8))
        self._since_halving += len(ids)
        if self._since_halving >= self._counts.shape[1]:
            self._counts >>= 1
            self._since_halving = 0
        counts: NDArray[np.int64] = raised[inverse].astype(np.int64)
        return counts

    def estimate(self, ids: Sequence[ItemId]) -> NDArray[np.int64]:
        """Counts of n ids, (n,), without counting them."""
        hashes = np.array([zlib.crc32(item_id.encode()) for item_id in ids], dtype=np.uint64)
        kept = np.take_along_axis(self._counts, self._places(hashes), axis=1)  # (lines, n)
        counts: NDArray[np.int64] = kept.min(axis=0).astype(np.int64)
        return counts

    def state(self) -> tuple[bytes, int]:
        """All that it knows: its counters, and how many ids it has counted since they were halved."""
        return self._counts.tobytes(), self._since_halving

    @classmethod
    def restored(cls, counters: bytes, since_halving: int) -> "FrequencySketch":
        """The sketch of a `state`. Raises ValueError when the counters are none."""
        made = cls(len(counters) // LINES)
        if len(counters) != made._counts.size:
            raise ValueError(f"found {len(counters)} counters; expected {LINES} lines of a power of two")
        made._counts[:] = np.frombuffer(counters, dtype=np.uint8).reshape(made._counts.shape)
        made._since_halving = since_halving
        return made

    def _places(self, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        return ((hashes * _ODD[:, None]) >> np.uint64(64 - self._bits)).astype(np.int64)  # (L, n)
