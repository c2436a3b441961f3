from streams.quiet import IDLE_S, Quiet


class Seconds:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_user_is_quiet_once_no_event_came_for_a_while() -> None:
    seconds = Seconds()
    quiet = Quiet(seconds)
    quiet.heard(0, ["ann"])
    seconds.now += IDLE_S - 0.1
    assert not quiet.is_quiet(0, "ann")
    quiet.heard(0, ["bob"])
    seconds.now += 0.1
    assert quiet.is_quiet(0, "ann")
    assert not quiet.is_quiet(0, "bob")


def test_an_event_starts_the_wait_anew() -> None:
    seconds = Seconds()
    quiet = Quiet(seconds)
    for _ in range(5):
        quiet.heard(0, ["ann"])
        seconds.now += IDLE_S / 2
    assert not quiet.is_quiet(0, "ann")


def test_nobody_is_quiet_in_a_partition_that_was_opened_a_moment_ago() -> None:
    seconds = Seconds()
    quiet = Quiet(seconds)
    assert not quiet.is_quiet(1, "never heard of")
    seconds.now += IDLE_S
    assert quiet.is_quiet(1, "never heard of")
    quiet.forget(1)
    assert not quiet.is_quiet(1, "never heard of")


def test_of_a_million_users_only_those_of_the_last_seconds_are_kept() -> None:
    seconds = Seconds()
    quiet = Quiet(seconds, idle_s=1.0)
    for number in range(1000):
        quiet.heard(0, [f"user-{number}"])
        seconds.now += 0.1
    assert len(quiet._heard[0]) <= 1.0 / 0.1 + 1
