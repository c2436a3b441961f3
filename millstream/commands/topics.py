"""`millstream topics`: the wiring map with what each topic was given, and the refused messages with their reasons."""

from typing import Annotated

import typer
from rich.table import Table

from contracts.settings import settings
from contracts.topics import TOPICS
from eventlog.lag import message_counts
from millstream import console
from millstream.commands.dead_letters import list_letters

DeadLetters = Annotated[bool, typer.Option("--dead-letters", help="Show the refused messages instead.")]
Limit = Annotated[int, typer.Option(help="How many refused messages to show, the newest.")]


def topics(dead_letters: DeadLetters = False, limit: Limit = 20) -> None:
    """Show every topic: key, value, partitions, retention, who writes, who reads, how many messages."""
    given = settings()
    if dead_letters:
        list_letters(limit=limit)
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
