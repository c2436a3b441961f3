"""The point-in-time join as training sees it: which rows are wanted, and the rows as serving would have had them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from contracts.features import ItemFeatures, UserFeatures
from contracts.ids import ItemId, UserId


@dataclass(frozen=True)
class Wanted:
    """Users and items, each with a time (ms since the epoch): the row wanted is the one just before it."""

    users: tuple[tuple[UserId, int], ...] = ()
    items: tuple[tuple[ItemId, int], ...] = ()

    @property
    def until_ms(self) -> int:
        """The latest of the times: nothing from then on is needed. 0 where nothing is wanted."""
        return max((at_ms for _, at_ms in (*self.users, *self.items)), default=0)


@dataclass(frozen=True)
class FeatureRows:
    """The rows of a `Wanted`, aligned with it; None where serving had no row."""

    users: tuple[UserFeatures | None, ...] = ()
    items: tuple[ItemFeatures | None, ...] = ()


FeatureJoin = Callable[[Wanted], FeatureRows]
"""The rows as of just before each time."""


def joined(join: FeatureJoin, each: Sequence[Wanted]) -> list[FeatureRows]:
    """The rows of several askers by a single join, for a join reads the whole log."""
    together = Wanted(
        tuple(user for one in each for user in one.users), tuple(item for one in each for item in one.items)
    )
    rows = join(together)
    parts = []
    user, item = 0, 0
    for one in each:
        parts.append(FeatureRows(rows.users[user : user + len(one.users)], rows.items[item : item + len(one.items)]))
        user, item = user + len(one.users), item + len(one.items)
    return parts
