"""`millstream rebuild`: makes the streams' states anew from the log; the streams are stopped."""

from typing import Annotated

import typer

from contracts.settings import settings
from millstream import console
from streams.rebuild import plan
from streams.rebuild import rebuild as make_anew

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def rebuild(yes: Yes = False) -> None:
    """Make the streams' states anew from the log: after a change of their format, or when they are not believed."""
    given = settings()
    planned = plan(given)
    console.say(
        f"{planned.events:,} events that the log still holds are folded again when the streams start; what is "
        "older is forgotten; examples are not told a second time"
    )
    if not yes and not typer.confirm("delete the states and their changelogs?"):
        raise typer.Exit(1)
    make_anew(given, planned, console.say)
    console.say("done; start the streams")
