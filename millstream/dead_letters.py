"""Reading the topic `dead-letters`, and putting letters back: each goes to its topic with its own key and bytes.

An event that comes back is folded at its new place; one that was counted meanwhile is found by its id and dropped. What
was put back is remembered on the topic itself, by a letter's own place, so that a second replay does nothing.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from rich.markup import escape

from contracts.deadletters import DeadLetter
from contracts.errors import BadInput
from contracts.settings import Settings
from contracts.topics import DEAD_LETTERS, ITEM_TOUCHES, ITEMS, TOPICS
from contracts.wire import decode, encode
from eventlog.producer import KafkaLog
from eventlog.tail import read_whole

READ_WITHIN_S = 60.0
PUT_BACK = "put_back"
"""Reason of the note that a letter was put back; its detail names the letter's place."""


@dataclass
class Replayed:
    """What a replay did."""

    put_back: int = 0
    before: int = 0
    unusable: int = 0
    overtaken: int = 0


def read(settings: Settings) -> list[DeadLetter]:
    """All letters that the topic holds, without the notes of replays. Raises LogUnavailable."""
    return [letter for letter in _all(settings) if letter.reason != PUT_BACK]


def replay(settings: Settings, wanted: Callable[[DeadLetter], bool], again: bool = False) -> Replayed:
    """Puts wanted letters back on their topics.

    Args:
        settings: Where the log is.
        wanted: Which letters.
        again: Also those that were put back before.

    Raises:
        LogUnavailable: the log did not acknowledge; run it again, which goes on where it stopped.
    """
    done, letters = Replayed(), _all(settings)
    before = {letter.detail for letter in letters if letter.reason == PUT_BACK}
    put_back_to = {topic.name: topic for topic in TOPICS if topic is not ITEM_TOUCHES}
    newest = _newest_items(settings) if any(letter.topic == ITEMS.name and wanted(letter) for letter in letters) else {}
    log = KafkaLog(settings.bootstrap, "dead-letters")
    try:
        for letter in letters:
            if letter.reason == PUT_BACK or not wanted(letter):
                continue
            if place(letter) in before and not again:
                done.before += 1
                continue
            key, value = letter.raw_key(), letter.raw_value()
            # A letter without a value would go back as a tombstone, which takes an item out of the catalogue.
            # A touch would stand behind later ones of its item, and be passed over as one that came again.
            if key is None or value is None or letter.topic not in put_back_to or not _is_text(key):
                done.unusable += 1
                continue
            # An item is what its newest message says: an older one put back would undo a later change or a deletion.
            if letter.topic == ITEMS.name and newest.get(key, -1) > letter.offset:
                done.overtaken += 1
                continue
            log.publish(put_back_to[letter.topic], key.decode(), value).result(30)
            note = letter.model_copy(update={"reason": PUT_BACK, "detail": place(letter), "key": None, "value": None})
            log.publish(DEAD_LETTERS, letter.topic, encode(note)).result(30)
            done.put_back += 1
    finally:
        log.close()
    return done


def place(letter: DeadLetter) -> str:
    """Where the refused message stood, as one word."""
    return f"{letter.topic}/{letter.partition}/{letter.offset}"


def shown(letter: DeadLetter) -> str:
    """A letter as a paragraph for the console."""
    raw = (letter.raw_value() or b"")[:160]
    return (
        f"[bold]{letter.reason}[/] {letter.topic}/{letter.partition} offset {letter.offset} at "
        f"{letter.at.isoformat(timespec='seconds')}\n  {escape(letter.detail)}\n  [dim]{escape(repr(raw))}[/]"
    )


def _all(settings: Settings) -> list[DeadLetter]:
    letters: list[DeadLetter] = []
    for message in read_whole(settings.bootstrap, DEAD_LETTERS, READ_WITHIN_S):
        with contextlib.suppress(BadInput):  # not a letter of ours: it stays where it is
            letters.append(decode(DeadLetter, message.value))
    return letters


def _newest_items(settings: Settings) -> dict[bytes, int]:
    """The offset of each item's newest message; one key's messages are all in one partition."""
    messages = read_whole(settings.bootstrap, ITEMS, READ_WITHIN_S)
    return {message.key: message.offset for message in messages if message.key}


def _is_text(key: bytes) -> bool:
    try:
        key.decode()
    except UnicodeDecodeError:
        return False
    return True
