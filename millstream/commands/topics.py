"""`millstream topics`: the wiring map with what each topic was given, and the refused messages with their reasons."""

import time
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from contracts.deadletters import DeadLetter
from contracts.settings import Settings, settings
from contracts.topics import DEAD_LETTERS, TOPICS
from contracts.wire import decode
from eventlog.lag import message_counts
from eventlog.tail import KafkaTail
from millstream import console

DeadLetters = Annotated[bool, typer.Option("--dead-letters", help="Show the refused messages instead.")]
Limit = Annotated[int, typer.Option(help="How many refused messages to show, the newest.")]


def topics(dead_letters: DeadLetters = False, limit: Limit = 20) -> None:
    """Show every topic: key, value, partitions, retention, who writes, who reads, how many messages."""
    given = settings()
    if dead_letters:
        _show_dead_letters(given, limit)
        return
    counts = message_counts(given.bootstrap, TOPICS)
    table = Table(box=None, pad_edge=False)
    for column in ("topic", "messages", "key", "value", "partitions", "kept", "written by", "read by"):
        table.add_column(column, justify="right" if column in ("messages", "partitions") else "left")
    for topic in TOPICS:
        kept = "last of each key" if topic.retention is None else f"{topic.retention.days} days"
        table.add_row(
            topic.name, str(counts[topic.name]), topic.key, topic.value.rsplit(".", 1)[-1], str(topic.partitions), kept,
            topic.producer, ", ".join(topic.consumers),
        )  # fmt: skip
    console.out.print(table)


def _show_dead_letters(given: Settings, limit: int) -> None:
    letters: list[DeadLetter] = []
    tail = KafkaTail(given.bootstrap, (DEAD_LETTERS,))
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and not tail.caught_up():
            letters += [decode(DeadLetter, message.value) for message in tail.poll(0.2)]
    finally:
        tail.close()
    console.say(f"{len(letters)} refused messages")
    for letter in letters[-limit:]:
        raw = (letter.raw_value() or b"")[:160]
        console.say(
            f"[bold]{letter.reason}[/] {letter.topic}/{letter.partition} offset {letter.offset} at "
            f"{letter.at.isoformat(timespec='seconds')}\n  {escape(letter.detail)}\n  [dim]{escape(repr(raw))}[/]"
        )
