"""The judge of progress: what counts as a stall."""

from millstream.stack.stall import Progress


def test_messages_that_wait_without_any_being_consumed_are_a_stall_after_a_while() -> None:
    progress = Progress(stalled_after_s=10)
    assert not progress.observe(consumed=5, waiting=3, now=0)
    assert not progress.observe(consumed=5, waiting=9, now=9)
    assert progress.observe(consumed=5, waiting=9, now=10)


def test_a_stall_is_told_once_and_the_wait_begins_anew() -> None:
    progress = Progress(stalled_after_s=10)
    progress.observe(5, 3, 0)
    assert progress.observe(5, 3, 10)
    assert not progress.observe(5, 3, 11)
    assert progress.observe(5, 3, 20)
    assert progress.stalls == 2


def test_nothing_waiting_is_no_stall_however_long() -> None:
    progress = Progress(stalled_after_s=10)
    progress.observe(5, 0, 0)
    assert not progress.observe(5, 0, 1000)
    assert not progress.observe(5, 2, 1005)


def test_progress_forgets_earlier_stalls_even_while_the_lag_grows() -> None:
    progress = Progress(stalled_after_s=10)
    progress.observe(5, 3, 0)
    assert progress.observe(5, 3, 10)
    assert not progress.observe(6, 50, 12)
    assert progress.stalls == 0
