"""`python -m millstream`: the same as the command `millstream`."""

from millstream.cli import app

app()
