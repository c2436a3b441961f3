"""`millstream doctor`: what is missing on this machine, and the command that mends it."""

import importlib.metadata
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import psutil
import typer
from packaging.requirements import Requirement

from contracts.errors import StackError
from contracts.settings import Settings, settings
from millstream import console
from millstream.stack.ports import is_free, owner
from millstream.stack.processes import stack_processes
from millstream.stack.state import running_stack

DISK_WANTED_GB = 3
MEMORY_WANTED_GB = 6
FIRST_PYTHON, AFTER_LAST_PYTHON = (3, 11), (3, 14)


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `mend` is the command that mends it; empty when all is well."""

    what: str
    found: str
    mend: str = ""


def doctor() -> None:
    """Look for what is missing on this machine."""
    findings = list(examine(settings()))
    for finding in findings:
        mark = "[green]ok[/]     " if not finding.mend else "[yellow]missing[/]"
        console.say(
            f"{mark} {finding.what}: {finding.found}" + (f"\n        mend: {finding.mend}" if finding.mend else "")
        )
    if any(finding.mend for finding in findings):
        raise typer.Exit(1)


def examine(given: Settings) -> Iterator[Finding]:
    """Looks at the Python, the packages, the ports, the disk, the memory and the broker."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    fits = FIRST_PYTHON <= sys.version_info[:2] < AFTER_LAST_PYTHON
    yield Finding("Python", version, "" if fits else "make setup PYTHON=python3.12")
    yield _packages()
    yield from _engines(given)
    free_gb = shutil.disk_usage(given.state_dir.absolute().parent).free / 1e9
    yield Finding(
        "disk", f"{free_gb:.0f} GB free", "" if free_gb >= DISK_WANTED_GB else "make clean, or free some disk"
    )
    memory_gb = psutil.virtual_memory().available / 1e9
    yield Finding(
        "memory", f"{memory_gb:.1f} GB available", "" if memory_gb >= MEMORY_WANTED_GB else "end some other programs"
    )


def _packages() -> Finding:
    missing = []
    for line in importlib.metadata.requires("millstream") or []:
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(f"{requirement.name} (none)")
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            missing.append(f"{requirement.name} {found}, expected {requirement.specifier}")
    return Finding("packages", ", ".join(missing) or "all there", "rm -f .venv/.ready && make setup" if missing else "")


def _engines(given: Settings) -> Iterator[Finding]:
    try:
        specs = stack_processes(given)
    except StackError as error:
        yield Finding("engines", str(error), "make setup")
        return
    yield Finding("engines", ", ".join(spec.name for spec in specs))
    running = running_stack(given)
    if running is not None:
        yield Finding("ports", f"held by the running stack (supervisor pid {running.supervisor_pid})")
        return
    for port in (port for spec in specs for port in spec.ports):
        free = is_free(port)
        found = f"{port.number} " + ("free" if free else f"taken by {owner(port)}")
        yield Finding(
            f"port of the {port.purpose}", found, "" if free else f"export {port.variable}={port.number + 100}"
        )
