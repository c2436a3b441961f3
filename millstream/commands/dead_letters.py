"""`millstream dead-letters`: what was refused and why, and `replay`, which puts back what was judged wrongly."""

from typing import Annotated

import typer

from contracts.deadletters import DeadLetter
from contracts.settings import settings
from millstream import console
from millstream.dead_letters import read, replay, shown

Reason = Annotated[str, typer.Option(help="Only letters of this reason; empty for all.")]
Topic = Annotated[str, typer.Option(help="Only letters of this source topic; empty for all.")]
Limit = Annotated[int, typer.Option(help="How many to show, the newest.")]
Again = Annotated[bool, typer.Option("--again", help="Also letters that an earlier replay has put back.")]

app = typer.Typer(no_args_is_help=True, help="Messages that were refused: show them, put them back.")


@app.command("list")
def list_letters(reason: Reason = "", topic: Topic = "", limit: Limit = 20) -> None:
    """Show refused messages with their reasons."""
    letters = [letter for letter in read(settings()) if _wanted(letter, reason, topic)]
    console.say(f"{len(letters)} refused messages")
    for letter in letters[-limit:]:
        console.say(shown(letter))


@app.command("replay")
def replay_letters(reason: Reason = "unexpected", topic: Topic = "", again: Again = False) -> None:
    """Put refused messages back on their topics; by default those that no rule refused but a failure."""
    given = settings()
    found = replay(given, lambda letter: _wanted(letter, reason, topic), again)
    console.say(
        f"{found.put_back} put back, {found.before} put back before, {found.overtaken} of items that changed since, "
        f"{found.unusable} that cannot be (without a usable key or value, or touches of items)"
    )


def _wanted(letter: DeadLetter, reason: str, topic: str) -> bool:
    return (not reason or letter.reason == reason) and (not topic or letter.topic == topic)
