"""Lanes over a log in memory: order, waiting, blame, and what may be committed."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from contracts.errors import (
    LogUnavailable,
    MessageTooLarge,
    StatesLost,
    StateUnavailable,
    UnknownFormat,
    VectorsUnavailable,
)
from contracts.ports import LoggedMessage
from streams import lane, short_log
from streams.lane_work import LaneWork
from tests.streams.lane_work import RULES, TOPIC, Work, until


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "FIRST_RETRY_S", 0.002)
    monkeypatch.setattr(lane, "SECOND_TRY_AFTER_S", 0.002)


async def test_messages_are_worked_on_in_order_and_may_then_be_committed() -> None:
    work = Work()
    work.log(25)
    async with work.running() as into:
        await until(lambda: into.safe_offsets() == {0: 25})
    assert work.done() == list(range(25))
    assert max(map(len, work.batches)) <= RULES.limit


async def test_reading_begins_at_what_was_committed() -> None:
    work = Work()
    work.log(9)
    work.source.commits[TOPIC.name, 0] = 6
    async with work.running() as into:
        await until(lambda: into.safe_offsets() == {0: 9})
    assert work.done() == [6, 7, 8]


@pytest.mark.parametrize("committed", [None, 2])
async def test_what_another_owner_commits_while_the_states_are_opened_is_read_all_the_same(
    committed: int | None,
) -> None:
    work = Work()
    work.log(9)
    if committed is not None:
        work.source.commits[TOPIC.name, 0] = committed

    async def opened(partition: int, restored: Callable[[int], None]) -> None:
        work.source.commits[TOPIC.name, 0] = 6

    async with work.running(work=LaneWork(work.process, work.refuse, open=opened)) as into:
        await until(lambda: into.safe_offsets() == {0: 9})
    assert work.done() == list(range(committed or 0, 9))


async def test_what_is_not_written_everywhere_is_not_committed() -> None:
    work = Work()
    work.log(5)
    work.held = 2
    async with work.running() as into:
        await until(lambda: work.done() == [0, 1, 2, 3, 4] and into.safe_offsets() == {0: 2})
        assert into.held()
        work.held = None
        assert into.safe_offsets() == {0: 5}


@pytest.mark.parametrize(
    "error",
    [VectorsUnavailable("found it away"), StateUnavailable("found it full"), OSError(28, "no space"), MemoryError()],
    ids=lambda error: type(error).__name__,
)
async def test_what_the_environment_does_is_waited_out_and_no_message_is_blamed(error: Exception) -> None:
    work = Work()
    work.log(2)
    work.away_times, work.error = 7, error
    async with work.running():
        await until(lambda: work.done() == [0, 1])
    assert work.refused == []


async def test_a_message_that_breaks_its_batch_is_refused_after_failing_alone_twice_and_the_rest_goes_on() -> None:
    work = Work()
    work.log(3)
    work.poison = {1: 3}  # in the batch, alone, and alone again
    async with work.running() as into:
        await until(lambda: into.safe_offsets() == {0: 3})
    assert work.refused == [1]
    assert sorted(work.done()) == [0, 2]


async def test_a_message_that_fails_alone_once_is_not_refused() -> None:
    work = Work()
    work.log(3)
    work.poison = {1: 2}
    async with work.running() as into:
        await until(lambda: into.safe_offsets() == {0: 3})
    assert work.refused == []
    assert sorted(work.done()) == [0, 1, 2]


async def test_no_message_is_blamed_while_the_machine_is_not_well() -> None:
    work = Work()
    work.log(1)
    work.poison = {0: 1000}
    work.well = False
    async with work.running() as into:
        await asyncio.sleep(0.1)
        assert (work.refused, into.safe_offsets()) == ([], {})
        work.poison, work.well = {}, True
        await until(lambda: into.safe_offsets() == {0: 1})
    assert work.refused == []


async def test_a_state_of_another_version_ends_the_process() -> None:
    work = Work()
    work.log(1)
    work.away_times, work.error = 1, UnknownFormat("found format 9")
    async with work.running() as into:
        await until(lambda: bool(work.stopped))
        assert into.safe_offsets() == {}
    assert [type(error) for error in work.stopped] == [UnknownFormat]


async def test_a_batch_that_waits_for_what_never_comes_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "STUCK_AFTER_S", 0.05)
    work = Work()
    work.log(1)

    async def never(partition: int, messages: Sequence[LoggedMessage]) -> None:
        await asyncio.Event().wait()

    into = work.lanes(work=LaneWork(never, work.refuse))
    into.assign([0])
    await until(lambda: bool(work.stopped))
    assert "stuck" in str(work.stopped[0])
    assert into.safe_offsets() == {}
    await into.close()


async def test_a_cancellation_that_nobody_asked_for_is_a_fault_of_the_log() -> None:
    work = Work()
    work.log(3)
    work.away_times, work.error = 2, asyncio.CancelledError()
    async with work.running() as into:
        await until(lambda: into.safe_offsets() == {0: 3})
    assert work.done() == [0, 1, 2]
    assert work.refused == []


async def test_a_lane_that_is_cancelled_by_a_client_ends_the_process_and_is_not_forgotten() -> None:
    work = Work()

    async def cancelled(partition: int, restored: Callable[[int], None]) -> None:
        raise asyncio.CancelledError

    async with work.running(work=LaneWork(work.process, work.refuse, open=cancelled)):
        await until(lambda: bool(work.stopped))
    assert "cancelled by a client" in str(work.stopped[0])


async def test_a_lane_whose_client_swallows_a_cancellation_is_finished_all_the_same() -> None:
    work, begun = Work(), asyncio.Event()
    work.log(1)

    async def deaf(partition: int, messages: Sequence[LoggedMessage]) -> None:
        begun.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(60)

    into = work.lanes(replace(RULES, drain_s=0.01), work=LaneWork(deaf, work.refuse))
    into.assign([0])
    await begun.wait()
    async with asyncio.timeout(4):
        await into.finish()
    assert into.safe_offsets() == {}


async def test_a_finished_lane_ends_its_batch_first_and_one_that_waits_is_cut_off() -> None:
    work, begun, go_on = Work(), asyncio.Event(), asyncio.Event()
    work.log(2)

    async def slow(partition: int, messages: Sequence[LoggedMessage]) -> None:
        begun.set()
        await go_on.wait()

    into = work.lanes(work=LaneWork(slow, work.refuse))
    into.assign([0])
    await begun.wait()
    finishing = asyncio.create_task(into.finish())
    await asyncio.sleep(0.01)
    assert not finishing.done()
    go_on.set()
    await finishing
    assert into.safe_offsets() == {0: 2}

    stuck = work.lanes(replace(RULES, drain_s=0.05), work=LaneWork(slow, work.refuse))
    begun.clear()
    go_on.clear()
    work.source.seek(TOPIC.name, 0, 0)
    stuck.assign([0])
    await begun.wait()
    await stuck.finish()
    assert stuck.safe_offsets() == {}


async def test_the_states_are_opened_before_anything_is_read_and_closed_at_the_end() -> None:
    work, steps, failures = Work(), [], [StateUnavailable("found it full"), LogUnavailable("found it away")]
    work.log(1)

    async def opened(partition: int, restored: Callable[[int], None]) -> None:
        restored(42)
        if failures:
            raise failures.pop()
        steps.append("opened")

    async def process(partition: int, messages: Sequence[LoggedMessage]) -> None:
        steps.append("worked")

    async def closed(partition: int) -> None:
        steps.append("closed")

    async with work.running(work=LaneWork(process, work.refuse, open=opened, close=closed)) as into:
        assert into.opening() == {0: 0}
        await until(lambda: into.safe_offsets() == {0: 1})
        assert into.opening() == {}
    assert steps == ["opened", "worked", "closed"]


async def test_the_timer_waits_until_everything_that_some_state_holds_has_come_again() -> None:
    work, ticked_at = Work(), []
    work.log(6)
    work.source.commits[TOPIC.name, 0] = 2

    async def tick(partition: int) -> bool:
        ticked_at.append(max(work.done(), default=-1))
        return False

    mine = LaneWork(work.process, work.refuse, tick, folded_to=lambda _: 4)
    async with work.running(replace(RULES, limit=1), work=mine) as into:
        await until(lambda: into.safe_offsets() == {0: 6} and len(ticked_at) > 2)
    assert ticked_at[0] >= 4


async def test_a_message_whose_output_is_too_large_for_the_log_is_refused_and_holds_nothing_up() -> None:
    work = Work()
    work.log(1)
    work.away_times, work.error = 3, MessageTooLarge("found 2 MB")  # in the batch, alone, and alone again
    async with work.running() as into:
        await until(lambda: into.safe_offsets() == {0: 1})
    assert work.refused == [0]


@pytest.mark.parametrize(("committed", "folded_to"), [(3, -1), (None, 2)], ids=["group", "states"])
async def test_a_log_that_ends_before_what_was_folded_of_it_ends_the_process(
    committed: int | None, folded_to: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(short_log, "SHORT_FOR_S", 0.02)
    work = Work()
    work.log(2)
    if committed is not None:
        work.source.commits[TOPIC.name, 0] = committed
    mine = LaneWork(work.process, work.refuse, folded_to=lambda _: folded_to)
    async with work.running(work=mine):
        await until(lambda: bool(work.stopped))
    assert isinstance(work.stopped[0], StatesLost)
    assert (work.done(), work.refused) == ([], [])
    assert "ending at 2, states folded up to 3" in str(work.stopped[0])


async def test_a_watermark_that_is_behind_for_a_moment_ends_nothing() -> None:
    short = short_log.ShortLog("events-0")
    for end, now_s in ((5, 0.0), (7, short_log.SHORT_FOR_S - 1), (5, short_log.SHORT_FOR_S), (None, 99.0), (5, 99.0)):
        short.check(7, end, now_s)
    with pytest.raises(StatesLost, match="millstream rebuild"):
        short.check(7, 5, 99.0 + short_log.SHORT_FOR_S)
