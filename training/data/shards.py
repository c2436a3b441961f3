"""Batches from Parquet shards: each worker reads row groups of its own, ahead of the step, and holds a few at a time.

1. An epoch's row groups are shuffled and dealt to the workers, each to the one that has least so far.
2. A worker reads its row groups one after the other, in a thread, and cuts them into windows.
3. Windows for some tens of batches are shuffled together into batches of like length, which come in random order.

Everything is drawn from (seed, epoch, rank, world), so that the same call gives the same batches, and a training that
goes on may skip those that it had. No two workers share a window. How many batches each has is known only about before
they are read, so the loop ends an epoch when one worker has none left.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from contracts.features import HISTORY_LENGTH
from training.data.collate import Epoch, SequenceBatch, batches
from training.data.prefetch import prefetched
from training.data.sequences import UserSequence, windows
from training.data.shard_files import RowGroup, open_shards, read_group, verify

POOLED_BATCHES = 32
"""Batches' worth of windows that are shuffled together."""

READ_AHEAD = 1
"""Row groups ready before their windows are wanted; one more is being read."""


class ParquetShards:
    """Deals out the batches of a set of shards; a `BatchSource`.

    A set is opened once and read many times. The SHA-256 of a shard is compared when it is first read from, the
    checksums of its pages at every reading.

    Args:
        directory: What `write_shards` wrote.
        pooled: As `POOLED_BATCHES`: more shuffles better and holds more.

    Raises:
        BadFile: the set is not whole; from the iterators too, where a shard turns out to be corrupt.
    """

    def __init__(self, directory: Path, pooled: int = POOLED_BATCHES) -> None:
        self.manifest = open_shards(directory)
        self._directory = directory
        self._pooled = pooled
        self._verified: set[int] = set()
        shards = enumerate(self.manifest.shards)
        self._places = [(shard, place) for shard, each in shards for place in range(len(each.row_groups))]
        self._groups = [self.manifest.shards[shard].row_groups[place] for shard, place in self._places]

    def batches(self, size: int, horizon: int, epoch: Epoch) -> Iterator[SequenceBatch]:
        """The worker's batches of an epoch.

        Args:
            size: Windows of full length a batch; a batch of shorter ones has more, up to as many positions.
            horizon: As `training.data.collate.collate`.
            epoch: Which draw, for which worker.

        Raises:
            BadFile: a shard is corrupt.
        """
        most = self._pooled * size * (HISTORY_LENGTH + 1)
        with closing(self._windows(epoch)) as cut:
            for number, pool in enumerate(_pools(cut, most)):
                drawn = np.random.SeedSequence([epoch.seed, epoch.number, epoch.rank, number]).generate_state(1)
                yield from batches(pool, size, horizon, Epoch(int(drawn[0]), epoch.number))

    def steps(self, size: int, epoch: Epoch) -> int:
        """About how many batches that is, by the manifest alone: padding within a batch is not counted."""
        own = [self._groups[index] for index in dealt(self._groups, epoch)]
        return -(-sum(_positions(group) for group in own) // (size * (HISTORY_LENGTH + 1)))

    def _windows(self, epoch: Epoch) -> Generator[UserSequence]:
        own = dealt(self._groups, epoch)
        with closing(prefetched(map(self._read, own), READ_AHEAD)) as ahead:
            for index, users in zip(own, ahead, strict=True):
                yield from windows(users, np.random.default_rng([epoch.seed, epoch.number, index]))

    def _read(self, index: int) -> list[UserSequence]:
        number, place = self._places[index]
        shard = self.manifest.shards[number]
        path = self._directory / shard.file
        if number not in self._verified:
            verify(path, shard)
            self._verified.add(number)
        return read_group(path, shard, place)


def dealt(groups: Sequence[RowGroup], epoch: Epoch) -> list[int]:
    """The row groups of one worker in an epoch, in random order: every one goes to exactly one worker.

    The largest go first, each to the worker with the fewest positions so far: the rule LPT of Graham, "Bounds on
    multiprocessing timing anomalies" (1969). Workers then differ by one row group at most.
    """
    order = np.random.default_rng([epoch.seed, epoch.number]).permutation(len(groups)).tolist()
    loads = [0] * epoch.world
    own = set()
    for index in sorted(order, key=lambda index: -_positions(groups[index])):
        lightest = loads.index(min(loads))
        loads[lightest] += _positions(groups[index])
        if lightest == epoch.rank:
            own.add(index)
    return [index for index in order if index in own]


def _pools(cut: Iterator[UserSequence], most: int) -> Iterator[list[UserSequence]]:
    """Windows in lists of at most about `most` interactions."""
    pool: list[UserSequence] = []
    held = 0
    for window in cut:
        pool.append(window)
        held += len(window)
        if held >= most:
            yield pool
            pool, held = [], 0
    if pool:
        yield pool


def _positions(group: RowGroup) -> int:
    """About how many interactions the windows of a row group have: those of a long user overlap by half a window."""
    overlapping = sum(count for length, count in group.lengths if length > HISTORY_LENGTH + 1)
    return group.interactions + overlapping * HISTORY_LENGTH // 2
