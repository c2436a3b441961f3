from streams.health import Observation, Watchdog


def seen(end: int, received: int, working: bool = False) -> Observation:
    return Observation("events", 0, end, received, working)


def test_a_partition_that_receives_nothing_while_the_log_has_more_is_stalled() -> None:
    watchdog = Watchdog(stall_after_s=60)
    assert watchdog.stalled([seen(10, 4)], 0) == []
    assert watchdog.stalled([seen(12, 4)], 59) == []
    assert watchdog.stalled([seen(15, 4)], 60) == ["events-0 at 4 of 15 for 60 s"]


def test_a_partition_that_moves_is_not_stalled() -> None:
    watchdog = Watchdog(stall_after_s=60)
    assert [watchdog.stalled([seen(100, now)], now) for now in range(0, 100, 30)] == [[], [], [], []]


def test_a_partition_without_more_to_read_is_not_stalled() -> None:
    watchdog = Watchdog(stall_after_s=60)
    watchdog.stalled([seen(10, 10)], 0)
    assert watchdog.stalled([seen(10, 10)], 600) == []
    assert watchdog.stalled([seen(11, 10)], 601) == []  # the message has just come


def test_an_agent_that_waits_for_its_dependency_is_not_stalled() -> None:
    watchdog = Watchdog(stall_after_s=60)
    watchdog.stalled([seen(10, 4, working=True)], 0)
    assert watchdog.stalled([seen(10, 4, working=True)], 600) == []
