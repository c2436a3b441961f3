"""A lane reads every message once: what a client skips, what the log itself lacks, what an outage cuts off."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from contracts.errors import LogUnavailable
from contracts.ports import LoggedMessage
from contracts.topics import Topic
from eventlog.memory import MemoryLog
from streams.memory import MemorySource
from tests.streams.lane_work import TOPIC, Work, until


class HoledSource(MemorySource):
    """Jumps over offsets: `skips` once (a client that lost its queue), `holes` always (a log without them)."""

    def __init__(self, log: MemoryLog, skips: Sequence[int] = (), holes: Sequence[int] = ()):
        super().__init__(log)
        self.skips, self.holes = set(skips), set(holes)
        self.sought: list[int] = []

    async def fetch(self, topic: str, partition: int, limit: int, timeout_s: float) -> list[LoggedMessage]:
        found = await super().fetch(topic, partition, limit, timeout_s)
        left = [message for message in found if message.offset not in self.skips | self.holes]
        self.skips -= {message.offset for message in found}
        return left

    def seek(self, topic: str, partition: int, offset: int) -> None:
        self.sought.append(offset)
        super().seek(topic, partition, offset)


async def test_what_a_client_skipped_is_read_after_all() -> None:
    source = HoledSource(MemoryLog(), skips=[0, 4, 5, 11])
    source.commits[TOPIC.name, 0] = 0
    work = Work(source)
    work.log(20)
    async with work.running() as into:
        await until(lambda: into.safe_offsets() == {0: 20})
    assert work.done() == list(range(20))
    assert work.metrics.gaps.labels(TOPIC.name)._value.get() == 1  # a skip within a batch is cut before it


async def test_a_hole_of_the_log_itself_is_passed_over_and_a_skip_behind_it_is_not() -> None:
    source = HoledSource(MemoryLog(), skips=[], holes=[3, 4])
    source.commits[TOPIC.name, 0] = 0
    work = Work(source)
    work.log(9)
    async with work.running() as into:
        await until(lambda: into.safe_offsets() == {0: 9})
    assert work.done() == [0, 1, 2, 5, 6, 7, 8]

    class SkipsAfterTheHole(HoledSource):
        async def fetch(self, topic: str, partition: int, limit: int, timeout_s: float) -> list[LoggedMessage]:
            found = await super().fetch(topic, partition, limit, timeout_s)
            if self.sought == [3, 3] and found and found[0].offset == 5:
                self.sought.append(-1)
                return [message for message in found if message.offset != 7]
            return found

    source = SkipsAfterTheHole(MemoryLog(), holes=[3, 4])
    source.commits[TOPIC.name, 0] = 0
    work = Work(source)
    work.log(9)
    async with work.running() as into:
        await until(lambda: into.safe_offsets() == {0: 9})
    assert work.done() == [0, 1, 2, 5, 6, 7, 8]


@pytest.mark.parametrize("topic", [TOPIC, replace(TOPIC, retention=None)], ids=["kept for a time", "compacted"])
async def test_a_log_lost_while_a_batch_is_gathered_loses_nothing_of_it(topic: Topic) -> None:
    class LostAfterTheFirst(MemorySource):
        fetches = 0

        async def fetch(self, topic: str, partition: int, limit: int, timeout_s: float) -> list[LoggedMessage]:
            self.fetches += 1
            if self.fetches == 2:
                raise LogUnavailable("found it away")
            return await super().fetch(topic, partition, min(limit, 4), timeout_s)

    work = Work(LostAfterTheFirst(MemoryLog()))
    work.log(9)
    async with work.running(topic=topic) as into:
        await until(lambda: into.safe_offsets() == {0: 9})
    assert work.done() == list(range(9))
