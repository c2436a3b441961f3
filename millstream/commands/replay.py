"""`millstream replay DATASET|FILE`: a log of a shop's events, at any speed."""

from typing import Annotated

import typer

from contracts.settings import settings
from millstream import console
from millstream.sources.datasets import open_replay
from millstream.sources.publish import publish_items
from millstream.sources.rejects import Rejects
from millstream.sources.replaying import parse_speed, replay_events, wait_until_consumed
from millstream.stack.state import require_stack

What = Annotated[
    str, typer.Argument(help="A file (JSONL, CSV, Parquet), or a data set: complete-journey, online-retail.")
]
Where = Annotated[str, typer.Argument(help="For online-retail: the path of its Parquet or CSV file.")]
Speed = Annotated[str, typer.Option(help="Times real time; `max` (or 0) is as fast as possible.")]
Limit = Annotated[int, typer.Option(help="Stop after so many events; 0 replays all.")]


def replay(what: What, path: Where = "", speed: Speed = "max", limit: Limit = 0) -> None:
    """Replay a log of events through the whole stream, then wait until it is consumed."""
    given = settings()
    times_real = parse_speed(speed)
    if given.embedded_broker:
        require_stack(given)
    rejects = Rejects(given.state_dir / "rejects" / f"{what.replace('/', '_')}.jsonl")
    log = open_replay(what, path, rejects)
    for line in log.remarks:
        console.say(line)
    if log.items is not None:
        with console.step("Loading its catalogue") as advance:
            publish_items(given, log.items, advance)
    with console.step(f"Replaying {log.name}") as advance:
        sent = replay_events(given, log.events(), times_real, advance, limit=limit, total=log.count)
    with console.step("Waiting until the streams have consumed it") as advance:
        wait_until_consumed(given, advance)
    console.say(f"{sent} events replayed")
    rejects.report(console.say)
