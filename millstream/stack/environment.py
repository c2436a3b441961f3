"""The environment that the stack's processes are started with: every setting spelt out, and a mark to know them by.

The mark is inherited by whatever a process starts in its turn (Ray's daemons among them), so that stopping the stack
finds every process of its own and none of anybody else's.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from contracts.settings import Settings

MARK = "MILLSTREAM_STACK_MARK"
"""`<stack>/<process>`, in the environment of every process of the stack."""


def setting_variables(settings: Settings) -> dict[str, str]:
    """The settings as `MILLSTREAM_*` variables, with absolute paths: what a child process reads back as equal."""
    variables = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if value is None:
            continue
        if isinstance(value, Path):
            value = value.absolute()
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        variables[f"MILLSTREAM_{name.upper()}"] = str(value)
    return variables


def process_environment(settings: Settings, mark: str, extra: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of one process."""
    return {
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
        **setting_variables(settings),
        **extra,
        MARK: mark,
    }
