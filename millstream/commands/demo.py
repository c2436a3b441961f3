"""`millstream demo`: the demo shop, from nothing to two live figures."""

from typing import Annotated

import typer

from contracts.settings import settings

Seconds = Annotated[
    float, typer.Option(help="Run headless with about so many seconds of live shopping, then check everything and end.")
]


def demo(seconds: Seconds = 0.0) -> None:
    """Open the demo shop with live shoppers; Ctrl-C ends it and leaves nothing running."""
    from millstream.demo.run import run_demo

    run_demo(settings(), seconds)
