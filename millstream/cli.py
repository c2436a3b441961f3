"""The command line `millstream`: which commands there are, and how errors reach a person.

An error of Millstream's own is one paragraph on standard error and exit status 1 (2 for a person's own input), never a
traceback. One file a command in `millstream/commands/`.
"""

import logging
from collections.abc import Callable
from typing import Any

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from contracts.errors import BadInput, MillstreamError, StackError
from millstream import console
from millstream.commands import (
    archive,
    dead_letters,
    demo,
    doctor,
    down,
    evaluate,
    load,
    rebuild,
    replay,
    status,
    topics,
    train,
    tune,
    up,
)


class _Group(TyperGroup):
    """Turns errors into one clear paragraph and an exit status."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Runs the chosen command."""
        try:
            return super().invoke(ctx)
        except MillstreamError as error:
            console.fail(error)
            raise typer.Exit(2 if isinstance(error, BadInput) else 1) from error
        except ValidationError as error:
            if error.title != "Settings":
                raise
            console.fail(StackError(_settings_problem(error)))
            raise typer.Exit(2) from error
        except KeyboardInterrupt as error:
            raise typer.Exit(130) from error


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Millstream: a streaming recommender for shops that learns within seconds of a click.",
)


@app.callback()
def _every_command() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    for noisy in ("kafka", "httpx", "httpcore"):  # Their trouble reaches a person as our own errors.
        logging.getLogger(noisy).setLevel(logging.CRITICAL)


_COMMANDS: dict[str, Callable[..., None]] = {
    "up": up.up, "down": down.down, "status": status.status, "demo": demo.demo, "load": load.load,
    "replay": replay.replay, "train": train.train, "evaluate": evaluate.evaluate, "topics": topics.topics,
    "doctor": doctor.doctor, "tune": tune.tune, "rebuild": rebuild.rebuild,
}  # fmt: skip
for _name, _command in _COMMANDS.items():
    app.command(_name)(_command)
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(archive.archive, name="archive")


def _settings_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    variable = f"MILLSTREAM_{where.upper()}" if where else "the settings"
    return f"{variable}: found {problem['input']!r}; {problem['msg']}; correct the environment variable"


if __name__ == "__main__":
    app()
