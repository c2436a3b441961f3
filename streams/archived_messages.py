"""Messages as the archive agent takes them: each as a row, and what no row can hold as a dead letter."""

from collections.abc import Callable
from datetime import datetime

from contracts.clock import Clock
from contracts.deadletters import refused
from contracts.errors import InvalidMessage
from contracts.events import Impression, Interaction
from contracts.examples import TrainingExample
from contracts.ports import EventLog, LoggedMessage
from contracts.rows import ItemVectors
from contracts.topics import DEAD_LETTERS, EVENTS, FEEDBACK, ITEMS
from contracts.wire import decode, decode_catalogue_event, decode_user_event, encode
from feature_repo.archive_rows import Row, catalogue_row, event_row, example_row, vectors_row

LETTER_TIMEOUT_S = 10.0


def row_of(message: LoggedMessage, now: datetime) -> Row | None:
    """The message's row; None for a tombstone, which is no row.

    Raises:
        BadInput: it cannot be used; the agent that uses its topic dead-letters it.
    """
    if message.topic == EVENTS.name:
        return event_row(_event(message, message.judged_at(now)), message)
    if message.topic == FEEDBACK.name:
        return example_row(decode(TrainingExample, message.value), message)
    if message.topic == ITEMS.name:
        return catalogue_row(decode_catalogue_event(message.value, message.judged_at(now)), message)
    return None if message.value is None else vectors_row(decode(ItemVectors, message.value), message)


def dead_lettered(log: EventLog, clock: Clock) -> Callable[[LoggedMessage, Exception], None]:
    """Refuses messages by dead letters, and waits for the acknowledgement of each.

    Of a message that would not fit into a letter only the place is kept. The function raises LogUnavailable or
    TimeoutError when the log does not acknowledge: the message is then not passed over.
    """

    def refuse(message: LoggedMessage, error: Exception) -> None:
        letter = refused(message.topic, message.partition, message.offset, message.key, message.value, error, clock())
        log.publish(DEAD_LETTERS, message.topic, encode(letter)).result(LETTER_TIMEOUT_S)

    return refuse


def _event(message: LoggedMessage, now: datetime) -> Impression | Interaction:
    event = decode_user_event(message.value, now)
    if message.key != event.user_id.encode():  # the user agent refuses it, so no feature may be made of it later
        raise InvalidMessage(f"found key {message.key!r} on an event of user {event.user_id!r}; expected the user's id")
    return event
