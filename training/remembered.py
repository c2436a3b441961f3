"""What a batch training leaves for the learner beside the weights: examples that it has learned, one of a user each.

The learner's gate measures every later version on some of them, and the learner goes on learning the others. They name
no user: an example's user is its number.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from contracts.clock import from_ms
from contracts.errors import BadInput
from contracts.events import EventKind
from contracts.examples import TrainingExample
from contracts.features import HISTORY_LENGTH
from contracts.ids import ExampleId, UserId
from contracts.wire import decode, encode
from training.data.archive_set import TrainingSet
from training.data.sequences import UserSequence
from training.model.vocabulary import KINDS, Vocabulary

log = logging.getLogger(__name__)

FILE = "remembered.jsonl"
MOST = 2048


def remembered(training_set: TrainingSet, seed: int, most: int = MOST) -> tuple[TrainingExample, ...]:
    """The newest interaction with a new item of up to `most` users, drawn evenly."""
    rng = np.random.default_rng(seed)
    made: list[TrainingExample] = []
    for place in rng.permutation(len(training_set.users)).tolist():
        example = _newest(training_set.users[place], training_set.table.vocabulary, len(made))
        if example is not None:
            made.append(example)
        if len(made) == most:
            break
    return tuple(made)


def save(directory: Path, examples: Sequence[TrainingExample]) -> None:
    """Writes them into a version's directory."""
    if examples:
        (directory / FILE).write_bytes(b"".join(encode(example) + b"\n" for example in examples))


def load(directory: Path) -> tuple[TrainingExample, ...]:
    """Those of a version's directory; none where it has none, or where they cannot be read."""
    try:
        lines = (directory / FILE).read_bytes().splitlines()
        return tuple(decode(TrainingExample, line) for line in lines)
    except FileNotFoundError:
        return ()
    except (OSError, BadInput) as error:
        log.warning("the examples in %s cannot be read (%s); the learner goes on without them", directory, error)
        return ()


def _newest(user: UserSequence, vocabulary: Vocabulary, number: int) -> TrainingExample | None:
    fresh = np.flatnonzero(user.fresh & (user.kinds < len(KINDS)))
    if not len(fresh):
        return None
    place = int(fresh[-1])
    before = user.part(max(0, place - HISTORY_LENGTH), place)
    return TrainingExample(
        example_id=ExampleId(f"remembered/{number}"),
        user_id=UserId(f"remembered-{number}"),
        item_id=vocabulary.ids[int(user.items[place])],
        at=from_ms(int(user.times_ms[place])),
        outcome=KINDS[int(user.kinds[place])],
        history_items=tuple(vocabulary.ids[index] for index in before.items.tolist()),
        history_kinds=tuple(_kind(row) for row in before.kinds.tolist()),
        history_times_ms=tuple(before.times_ms.tolist()),
    )


def _kind(row: int) -> EventKind:
    return KINDS[row] if row < len(KINDS) else EventKind.VIEW
