"""`millstream up`: start the local stack, detached."""

from contracts.settings import Settings, settings
from millstream import console
from millstream.stack.client import start_stack, wait_until_ready
from millstream.stack.state import Phase, StackRecord


def up() -> None:
    """Start the local stack and leave it running in the background."""
    given = settings()
    start_and_show(given, leashed=False)
    console.say(f"shop page and API: {given.gateway}   logs: {given.logs_dir.absolute()}   stop with: millstream down")


def start_and_show(given: Settings, *, leashed: bool) -> StackRecord:
    """Starts the stack and shows each process becoming ready. Raises StackError."""
    start_stack(given, leashed=leashed)
    with console.step("Starting the stack") as advance:
        told: set[str] = set()

        def show(record: StackRecord) -> None:
            ready = [p for p in record.processes if p.phase in (Phase.READY, Phase.DONE)]
            for process in ready:
                if process.name not in told and not console.interactive():
                    console.say(f"  {process.title}: ready")
                told.add(process.name)
            starting = [p.title for p in record.processes if p.phase in (Phase.STARTING, Phase.RESTARTING)]
            advance(len(ready), len(record.processes), starting[0] if starting else "")

        return wait_until_ready(given, show)
