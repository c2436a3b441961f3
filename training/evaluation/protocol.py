"""Who is asked for what: protocols cut a log into what may be learned, what settings may be chosen on, and the test.

Three protocols, each named in every table: leave-one-out, time split, sessions. No test interaction is ever in
`training` or `newer`; a validation interaction is in `newer` alone. Each of both has id rows for what it holds itself:
an item which the test alone has is known by its content, as a new one in a shop.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from contracts.clock import from_ms
from contracts.errors import NotEnoughData
from training.data.archive_set import TrainingSet
from training.data.sequences import UserSequence, item_counts

LEAST_USERS = 5
"""Users to test on, at least: fewer give no interval worth reading."""

FOUR_WEEKS_MS = 28 * 86_400_000
TEST_SHARE = 0.1
"""Share of the newest interactions (sessions) that are the test where no cut (no test file) is named."""

VALIDATION_SHARE = 0.05
"""Share of the newest training sessions that settings are chosen on."""

MOST_VALIDATION_PREFIXES = 5000


@dataclass(frozen=True)
class TestUser:
    """A user asked for a ranking at `at_ms`: the history that rankers may read, and what was touched afterwards."""

    __test__ = False

    history: UserSequence
    targets: frozenset[int]
    at_ms: int


@dataclass(frozen=True)
class Split:
    """One protocol applied to a log.

    Attributes:
        protocol: Its name and cut, as tables show it.
        training: What models learn while settings are chosen.
        validation: Users that settings are chosen on.
        newer: What models may learn once settings are chosen: `training` and the validation interactions. The same
            object as `training` where the protocol's published tables do not learn the validation interactions.
        test: Users that are measured, once.
        newcomers: Users of the time split with items that nobody had touched before the cut, as targets apart.
        without_history: Whether items of a user's history are left out of that user's ranking.
        asked_ms: When the test begins, ms since the epoch: what "the last seven days" are counted back from.
    """

    protocol: str
    training: TrainingSet
    validation: tuple[TestUser, ...]
    newer: TrainingSet
    test: tuple[TestUser, ...]
    without_history: bool
    asked_ms: int
    newcomers: tuple[TestUser, ...] = ()


def leave_one_out(log: TrainingSet, least: int = LEAST_USERS) -> Split:
    """Each user's last item is the test, the one before it the validation, the rest is learned.

    As Kang & McAuley, SASRec (2018), sec. IV-C, but every item that the user has not touched is ranked, not 100 drawn
    ones. The validation item is in the test's history and is not learned. A user with two items has no validation;
    a user with one is learned from only.

    Raises:
        NotEnoughData: fewer than `least` users have two items.
    """
    learned, validation, test = [], [], []
    for user in log.users:
        kept = max(1, len(user) - 2)
        learned.append(user.part(0, kept))
        if len(user) >= 3:
            validation.append(_asked(user, len(user) - 2))
        if len(user) >= 2:
            test.append(_asked(user, len(user) - 1))
    _require(test, least, "users with at least two interactions")
    training = part_of(log, learned).with_own_ids()
    asked_ms = max(user.at_ms for user in test)
    return Split("leave-one-out", training, tuple(validation), training, tuple(test), True, asked_ms)


def time_split(log: TrainingSet, cut_ms: int | None = None, least: int = LEAST_USERS) -> Split:
    """All before one moment is learned; the test is what users touched after it and never before.

    Targets are items that somebody had touched before the cut. Items that nobody had are ranked all the same, and are
    the targets of `newcomers`: a count knows nothing of them, and mixed in they would hide what is measured.

    A global cut, as Meng et al. (2020), sec. 3.2, ask for: nothing learned is newer than anything tested. Validation
    is the four weeks before the cut, or the newest tenth before it where those four weeks would be over half of it.

    Args:
        log: All interactions.
        cut_ms: The cut, ms since the epoch; the time of the newest tenth's first interaction when None.
        least: Users to test on, at least.

    Raises:
        NotEnoughData: fewer than `least` users touch anything before the cut and anything new after it.
    """
    cut_ms = newest_share_from(log, TEST_SHARE) if cut_ms is None else cut_ms
    newer = log.before(cut_ms).with_own_ids()
    everyone = users_after(log, cut_ms)
    known = item_counts(newer.users, len(log.table.vocabulary)) > 0  # (N,)
    test, newcomers = _narrowed(everyone, known), _narrowed(everyone, ~known)
    _require(test, least, f"users with interactions before {from_ms(cut_ms).isoformat()} and new items after it")
    chosen_on_ms = cut_ms - FOUR_WEEKS_MS
    training = newer.before(chosen_on_ms)
    if 2 * training.examples < newer.examples:
        chosen_on_ms = newest_share_from(newer, TEST_SHARE)
        training = newer.before(chosen_on_ms)
    name = f"time split at {from_ms(cut_ms).isoformat()}"
    validation = users_after(newer, chosen_on_ms)
    return Split(name, training.with_own_ids(), tuple(validation), newer, tuple(test), True, cut_ms, tuple(newcomers))


def users_after(log: TrainingSet, cut_ms: int) -> list[TestUser]:
    """Users with a history before the cut and items after it that they had not touched before."""
    users = []
    for user in log.users:
        history = user.before(cut_ms)
        rest = slice(len(history), None)
        targets = frozenset(user.items[rest][user.fresh[rest]].tolist())
        if len(history) and targets:
            users.append(TestUser(history, targets, cut_ms))
    return users


def session_split(sessions: TrainingSet, test: Sequence[TestUser] | None = None, least: int = LEAST_USERS) -> Split:
    """The next item of each prefix of the test sessions; items of the prefix stay in the ranking.

    As Hidasi et al., GRU4Rec (2016), sec. 4, without their restriction to a sample of items. Sessions come oldest
    first; validation is the newest twentieth of the training sessions.

    Args:
        sessions: All sessions, or those to learn from when `test` is given.
        test: Prefixes with their next items; those of the newest tenth of the sessions when None.
        least: Prefixes to test on, at least.

    Raises:
        NotEnoughData: fewer than `least` prefixes.
    """
    every = _oldest_first(sessions.users)
    if test is None:
        first = len(every) - max(1, round(TEST_SHARE * len(every)))
        every, tested = every[:first], every[first:]
        test = prefixes(tested)
    _require(test, least, "test prefixes with a next item")
    first = len(every) - max(1, round(VALIDATION_SHARE * len(every)))
    validation = prefixes(every[first:])[:MOST_VALIDATION_PREFIXES]
    newer, training = (part_of(sessions, part).with_own_ids() for part in (every, every[:first]))
    return Split("sessions", training, tuple(validation), newer, tuple(test), False, min(user.at_ms for user in test))


def k_folds(log: TrainingSet, folds: int, seed: int) -> list[Split]:
    """Each user is tested once, by a model that has learned other users alone; for data too small for one split.

    Strong generalisation, Marlin (2004), sec. 2.4: the history of a test user is read, never learned. The target is
    the last item. A fifth of each fold's other users are its validation, and stand in `newer`.

    Raises:
        NotEnoughData: fewer users with two items than folds.
    """
    testable = [place for place, user in enumerate(log.users) if len(user) >= 2]
    _require(testable, max(2, folds), "users with at least two interactions")
    fold_of = dict(zip(np.random.default_rng(seed).permutation(testable).tolist(), _cycle(folds), strict=False))
    splits = []
    for fold in range(folds):
        own = [user for place, user in enumerate(log.users) if fold_of.get(place) == fold]
        others = [user for place, user in enumerate(log.users) if fold_of.get(place) != fold]
        chosen_on = others[::5]
        learned = [user for place, user in enumerate(others) if place % 5]
        test = tuple(_asked(user, len(user) - 1) for user in own)
        splits.append(
            Split(
                f"leave-one-out, {folds} folds of users",
                part_of(log, learned or others).with_own_ids(),
                tuple(_asked(user, len(user) - 1) for user in chosen_on if len(user) >= 2),
                part_of(log, others).with_own_ids(),
                test,
                True,
                max(user.at_ms for user in test),
            )
        )
    return splits


def prefixes(users: Iterable[UserSequence]) -> list[TestUser]:
    """Every prefix of each sequence with the item after it; T - 1 of a sequence of T."""
    return [_asked(user, place) for user in users for place in range(1, len(user))]


def part_of(log: TrainingSet, users: Iterable[UserSequence]) -> TrainingSet:
    """The same items with other users; impressions after the last of the users' interactions are left out."""
    kept = tuple(user for user in users if len(user))
    newest = max((int(user.times_ms[-1]) for user in kept), default=0)
    shown = tuple(row for row in log.shown if row.at_ms <= newest)
    return replace(log, users=kept, shown=shown, examples=sum(len(user) for user in kept) + len(shown))


def newest_share_from(log: TrainingSet, share: float) -> int:
    """Time (ms) of the first of the newest share of the interactions."""
    times = np.sort(np.concatenate([user.times_ms for user in log.users]))
    return int(times[int(len(times) * (1.0 - share))])


def _narrowed(users: Sequence[TestUser], wanted: NDArray[np.bool_]) -> list[TestUser]:
    """The users with those of their targets that are wanted, (N,); users without any are left out."""
    narrowed = [(user, frozenset(item for item in user.targets if wanted[item])) for user in users]
    return [replace(user, targets=targets) for user, targets in narrowed if targets]


def _asked(user: UserSequence, place: int) -> TestUser:
    """The user asked just before the interaction at `place`."""
    return TestUser(user.part(0, place), frozenset((int(user.items[place]),)), int(user.times_ms[place]))


def _oldest_first(users: Sequence[UserSequence]) -> list[UserSequence]:
    return sorted(users, key=lambda user: int(user.times_ms[0]))  # Stable: without times the file's order stays.


def _cycle(folds: int) -> Iterable[int]:
    while True:
        yield from range(folds)


def _require(found: Sequence[object], least: int, what: str) -> None:
    if len(found) < least:
        raise NotEnoughData(
            f"found {len(found)} {what}; expected at least {least}; collect events for longer, or choose a protocol "
            "or cut that leaves more to test on"
        )
