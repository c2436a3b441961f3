"""Anonymous sessions: one line a session with its item ids, oldest first; or columns session, item, time.

A line of a test file is `prefix | target`: the items seen so far, and the one that came next. L interactions.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from contracts.errors import BadFile, NotEnoughData
from contracts.events import EventKind
from contracts.ids import UserId
from training.data.archive_set import TrainingSet
from training.data.event_columns import read_interactions
from training.data.file_tables import FORMATS, format_of, opened
from training.data.interactions import STEP_MS, Interactions
from training.data.item_columns import read_items
from training.data.rejected import Rejected
from training.data.sequences import UserSequence
from training.data.two_files import LEAST_INTERACTIONS, Encoders, as_training_set, content_table
from training.evaluation.protocol import TestUser
from training.loop import Progress
from training.model.vocabulary import kind_row

HOUR_MS = 3_600_000
"""Time between two sessions of a file without times, where their order is all that is known."""

Line = tuple[list[str], list[str]]
"""Items of a session, and (in test files) the items that came next."""


@dataclass(frozen=True)
class LoadedSessions:
    """Sessions to learn from; `test` prefixes, None without a test file; and remarks as of `Loaded`."""

    training_set: TrainingSet
    log: Interactions
    test: tuple[TestUser, ...] | None
    remarks: tuple[str, ...]


def read_sessions(
    sessions: Path, test: Path | None, items: Path | None, encoders: Encoders, progress: Progress
) -> LoadedSessions:
    """Reads sessions, and test prefixes and items where there are such files.

    An item of the test file alone is in the vocabulary: rankers may know its content, never its use.

    Raises:
        BadFile: a file cannot be read.
        NotEnoughData: too few usable interactions.
    """
    progress("reading sessions", 0.0)
    rejected = Rejected(sessions.name)
    if format_of(sessions) in FORMATS:
        log = read_interactions(sessions, rejected)
    else:
        log = _as_log(_lines(sessions, rejected, with_target=False))
    if len(log) < LEAST_INTERACTIONS:
        raise NotEnoughData(
            f"found {len(log)} usable interactions in {sessions}"
            + "".join(f"; {line}" for line in rejected.lines())
            + f"; expected at least {LEAST_INTERACTIONS}: one line a session, its item ids between spaces"
        )
    asked = Rejected(test.name if test else "test")
    lines = _lines(test, asked, with_target=True) if test else []
    described = Rejected(items.name if items else "items")
    rows = read_items(items, described) if items else []
    touched = {*log.item_ids, *(item for prefix, targets in lines for item in (*prefix, *targets))}
    table = content_table(sorted(touched), rows, encoders, described, lambda done: progress("items", 0.2 + 0.7 * done))
    training_set = with_repeats(as_training_set(log, table))
    remarks = [*rejected.lines(), *asked.lines(), *described.lines()]
    unseen = len(touched) - len(log.item_ids)
    remarks += [f"{unseen} items are seen in the test alone"] if unseen else []
    index = {str(item_id): place for place, item_id in enumerate(table.vocabulary)}
    after_ms = training_set.data_to_ms + HOUR_MS
    prefixes = tuple(_test_user(number, line, index, after_ms) for number, line in enumerate(lines))
    return LoadedSessions(training_set, log, prefixes if test else None, tuple(remarks))


def with_repeats(sessions: TrainingSet) -> TrainingSet:
    """The same with every interaction as one to foresee: in a session the next item may be one seen before."""
    users = tuple(replace(user, fresh=np.ones(len(user), dtype=np.bool_)) for user in sessions.users)
    return replace(sessions, users=users)


def _lines(path: Path, rejected: Rejected, with_target: bool) -> list[Line]:
    found: list[Line] = []
    try:
        with opened(path) as file:
            for number, raw in enumerate(file, start=1):
                prefix, bar, target = raw.decode().partition("|")
                line = (prefix.split(), target.split())
                if not line[0] or with_target != bool(line[1]) or with_target != bool(bar):
                    if raw.strip():
                        expected = "items, a bar and the next item" if with_target else "items between spaces"
                        rejected.add(f"no line of {expected}", number)
                    continue
                found.append(line)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise BadFile(f"found no lines of item ids in {path} ({error}); expected UTF-8; write it again") from error
    return found


def _as_log(lines: list[Line]) -> Interactions:
    lengths = np.array([len(items) for items, _ in lines], dtype=np.int64)
    flat = np.array([item for items, _ in lines for item in items], dtype=np.str_)
    item_ids, codes = np.unique(flat, return_inverse=True)
    owner = np.repeat(np.arange(len(lines)), lengths)
    place = np.arange(len(flat)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return Interactions(
        user_ids=[f"session-{number + 1:09}" for number in range(len(lines))],
        item_ids=item_ids.tolist(),
        users=owner,
        items=codes.astype(np.int64),
        times_ms=owner * HOUR_MS + place * STEP_MS,
        kinds=np.full(len(flat), kind_row(EventKind.VIEW), dtype=np.int64),
        ratings=np.full(len(flat), np.nan),
        timed=False,
    )


def _test_user(number: int, line: Line, index: dict[str, int], after_ms: int) -> TestUser:
    items = np.array([index[item] for item in line[0]], dtype=np.int64)
    fresh = np.ones(len(items), dtype=np.bool_)
    times_ms = after_ms + np.arange(len(items), dtype=np.int64) * STEP_MS
    kinds = np.full(len(items), kind_row(EventKind.VIEW), dtype=np.int64)
    history = UserSequence(UserId(f"test-{number + 1:09}"), items, kinds, times_ms, fresh)
    return TestUser(history, frozenset(index[item] for item in line[1]), int(times_ms[-1]) + STEP_MS)
