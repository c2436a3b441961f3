"""`millstream down`: stop the local stack, leaving nothing of it running."""

from contracts.settings import settings
from millstream import console
from millstream.stack.client import stop_stack
from millstream.stack.state import running_stack


def down() -> None:
    """Stop the local stack."""
    given = settings()
    if running_stack(given) is None:
        leftovers = stop_stack(given)
        console.say(
            f"no stack is running; ended {leftovers} leftover processes" if leftovers else "no stack is running"
        )
        return
    with console.step("Stopping the stack"):
        stop_stack(given)
