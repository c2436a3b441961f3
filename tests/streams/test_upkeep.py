"""Upkeep: a store that lost its rows is filled again from the states, and idle states are forgotten."""

from collections.abc import Sequence

import pytest

from contracts.errors import FeaturesUnavailable
from contracts.ids import UserId
from streams import upkeep
from streams.upkeep import DAY_MS, Kept, Upkeep
from tests.streams.doubles import Rig, user_table
from tests.streams.shop import ANN, at, logged, search, view

DAYS = 2


class UserUpkeep:
    """The upkeep of a rig's users, which looks for its marks at each timer."""

    def __init__(self, rig: Rig, monkeypatch: pytest.MonkeyPatch):
        self.rig = rig
        self.deleted: list[str] = []
        monkeypatch.setattr(upkeep, "MARKS_EVERY_S", 0.0)
        self.upkeep = Upkeep(
            Kept("users", rig.users, rig.user_rows, rig.user_agent.restore, self.delete, DAYS), rig.store, rig.metrics
        )

    def delete(self, users: Sequence[str]) -> None:
        self.rig.store.delete_users([UserId(user) for user in users])
        self.deleted += users

    async def until_marked(self) -> int:
        for calls in range(1, 50):
            await self.upkeep.tick(0)
            if self.rig.store.read_marks(["users/0"]):
                return calls
            self.rig.user_rows.flush()
        raise AssertionError("found no mark after 50 timers; expected it")


async def shoppers(rig: Rig, count: int) -> list[UserId]:
    users = [UserId(f"user-{number:04}") for number in range(count)]
    events = [view("a", 0, f"e-{user}").model_copy(update={"user_id": user}) for user in users]
    await rig.user_agent.process(0, [logged(event, offset) for offset, event in enumerate(events)])
    while rig.user_rows.flush():
        pass
    return users


async def test_a_store_that_lost_its_rows_and_marks_is_filled_again_from_the_states(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig()
    users, kept = await shoppers(rig, 1200), UserUpkeep(rig, monkeypatch)
    await kept.until_marked()
    rows = [rig.store.read_user(user) for user in users]
    rig.store.lose_everything()
    assert rig.store.read_user(users[0]) is None
    await kept.until_marked()
    assert [rig.store.read_user(user) for user in users] == rows
    assert rig.metrics.refilled.labels("users")._value.get() == 2 * len(users)


async def test_no_mark_is_left_before_all_rows_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    await shoppers(rig, 3)
    rig.store.lose_everything()
    kept = UserUpkeep(rig, monkeypatch)
    for _ in range(5):
        await kept.upkeep.tick(0)
    assert rig.store.read_marks(["users/0"]) == frozenset()
    rig.user_rows.flush()
    await kept.upkeep.tick(0)
    assert rig.store.read_marks(["users/0"]) == {"users/0"}


async def test_a_store_that_loses_its_rows_while_it_is_filled_is_filled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    users, kept = await shoppers(rig, 3), UserUpkeep(rig, monkeypatch)
    await kept.upkeep.tick(0)
    rig.user_rows.flush()
    rig.store.lose_everything()
    await kept.until_marked()
    assert None not in [rig.store.read_user(user) for user in users]


async def test_a_store_that_is_away_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    await shoppers(rig, 1)
    kept = UserUpkeep(rig, monkeypatch)
    rig.store.available = False
    assert await kept.upkeep.tick(0) is False
    rig.store.available = True
    await kept.upkeep.tick(0)
    rig.store.available = False
    with pytest.raises(FeaturesUnavailable):
        rig.user_rows.flush()
    rig.store.available = True
    await kept.until_marked()
    assert rig.store.read_user(UserId("user-0000")) is not None


async def test_a_live_row_goes_before_the_row_of_the_past_and_is_never_replaced_by_it() -> None:
    rig = Rig()
    await rig.user_agent.process(0, [logged(view("a", 0), 0)])
    old = rig.users.get(0, ANN)
    await rig.user_agent.process(0, [logged(view("b", 1), 1)])
    rig.user_agent.restore(0, ANN, old)
    rig.user_rows.flush()
    found = rig.store.read_user(ANN)
    assert found is not None
    assert found.recent_items == ("a", "b")


async def test_states_not_seen_for_long_are_forgotten_in_the_changelog_the_copy_and_the_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upkeep, "FORGET_EVERY_S", 0.0)
    monkeypatch.setattr(upkeep, "LOOKED_AT_ONCE", 4)
    rig = Rig()
    users, kept = await shoppers(rig, 10), UserUpkeep(rig, monkeypatch)
    await rig.user_agent.process(0, [logged(view("b", 60), 10)])
    assert await kept.upkeep.tick(0)
    assert kept.deleted == []
    late_minutes = DAYS * 24 * 60 + 1
    newer = search(0).model_copy(update={"at": at(late_minutes), "user_id": "eve"})
    rig.user_agent._clock = lambda: at(late_minutes)
    await rig.user_agent.process(0, [logged(newer, 11)])
    rig.user_rows.flush()
    for _ in range(8):
        await kept.upkeep.tick(0)
    assert sorted(set(kept.deleted)) == users
    assert [key for _, key in rig.users.rows()] == [b"ann", b"eve"]
    assert rig.store.read_user(users[0]) is None
    rig.users.changelog.compact(0)
    again = user_table(rig.users.changelog)
    await again.settle(0)
    assert [key for _, key in again.rows()] == [b"ann", b"eve"]
    assert again.progress(0).watermark_ms - rig.users.progress(0).watermark_ms == 0
    assert (at(late_minutes) - at(0)).total_seconds() * 1000 > DAY_MS * DAYS


async def test_nothing_is_forgotten_where_everything_is_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "FORGET_EVERY_S", 0.0)
    rig = Rig()
    await shoppers(rig, 3)
    kept = UserUpkeep(rig, monkeypatch)
    for_ever = Upkeep(
        Kept("users", rig.users, rig.user_rows, rig.user_agent.restore, kept.delete, 0), rig.store, rig.metrics
    )
    for _ in range(3):
        await for_ever.tick(0)
    assert kept.deleted == []


async def test_an_event_that_bears_a_wrong_clocks_time_makes_nobody_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "FORGET_EVERY_S", 0.0)
    rig, years_ahead = Rig(), 3 * 365 * 24 * 60
    await shoppers(rig, 3)
    deleted: list[str] = []
    keeping = Upkeep(
        Kept("users", rig.users, rig.user_rows, rig.user_agent.restore, deleted.extend, DAYS),
        rig.store,
        rig.metrics,
        clock=lambda: at(60),
    )
    rig.user_agent._clock = lambda: at(years_ahead)
    await rig.user_agent.process(0, [logged(search(years_ahead), 9)])
    for _ in range(4):
        await keeping.tick(0)
    assert deleted == []
