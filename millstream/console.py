"""What the command line shows: progress, results and errors. The only place that writes to the terminal.

On a terminal long work has a bar; anywhere else (CI, a pipe) it is plain lines, one at the start and one at the end.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from contracts.errors import MillstreamError

PLAIN_WIDTH = 160

out = Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
err = Console(stderr=True, highlight=False, soft_wrap=True)

Advance = Callable[[float, float, str], None]
"""Says how far the work is: done, total (0 when unknown), a word on what is happening."""


def interactive() -> bool:
    """Whether a person watches: standard output is a terminal."""
    return sys.stdout.isatty()


def say(text: str) -> None:
    """One line of what is happening."""
    out.print(text, soft_wrap=True)


def say_plain(text: str) -> None:
    """One line taken as it is: what looks like markup in it stays."""
    out.print(text, soft_wrap=True, markup=False)


def fail(error: MillstreamError) -> None:
    """One paragraph on what went wrong."""
    err.print(
        f"[bold red]millstream:[/] {error}" if err.is_terminal else f"millstream: {error}", markup=err.is_terminal
    )


@contextmanager
def step(title: str) -> Iterator[Advance]:
    """Shows a piece of work while it lasts, and how long it took when it is done."""
    started = time.monotonic()
    if not interactive():
        out.print(f"{title} ...", markup=False)
        yield lambda _done, _total, _word: None
        out.print(f"{title}: done in {time.monotonic() - started:.1f} s", markup=False)
        return
    columns = (
        SpinnerColumn(finished_text="[green]✓[/]"), TextColumn("{task.description}"), BarColumn(bar_width=28),
        MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("[dim]{task.fields[word]}[/]"),
    )  # fmt: skip
    with Progress(*columns, console=out) as progress:
        task = progress.add_task(title, total=None, word="")

        def advance(done: float, total: float, word: str) -> None:
            progress.update(task, completed=done, total=total or None, word=word)

        yield advance
        total = progress.tasks[0].total or 1
        progress.update(task, completed=total, total=total, word="")
