"""`millstream status`: every process, its memory, its lag, its health."""

import time
from datetime import timedelta

import httpx
import psutil
from rich.markup import escape
from rich.table import Table

from contracts.clock import utc_now
from contracts.errors import LogUnavailable
from contracts.heartbeats import Heartbeat
from contracts.settings import Settings, settings
from contracts.topics import HEARTBEATS
from contracts.wire import decode
from eventlog.tail import KafkaTail
from millstream import console
from millstream.stack.kin import marked_processes
from millstream.stack.state import Phase, ProcessRecord, StackRecord, require_stack

_COLOURS = {Phase.READY: "green", Phase.DONE: "dim", Phase.RESTARTING: "yellow", Phase.FAILED: "red"}


def status() -> None:
    """Show every process of the local stack: pid, memory, lag, health."""
    given = settings()
    record = require_stack(given)
    beats = _heartbeats(given)
    table = Table(box=None, pad_edge=False)
    for column in ("process", "phase", "pid", "memory", "restarts", "lag", "health"):
        table.add_column(column, justify="right" if column in ("pid", "memory", "restarts", "lag") else "left")
    for process in record.processes:
        beat = beats.get(process.name)
        table.add_row(
            process.name, f"[{_COLOURS.get(process.phase, 'default')}]{process.phase}[/]", str(process.pid or "-"),
            _memory(record, process), str(process.restarts), "-" if beat is None else str(sum(beat.lag.values())),
            _health(given, process, beat),
        )  # fmt: skip
    console.out.print(table)


def _heartbeats(given: Settings) -> dict[str, Heartbeat]:
    beats: dict[str, Heartbeat] = {}
    tail = KafkaTail(given.bootstrap, (HEARTBEATS,))
    try:
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline and not tail.caught_up():
            for message in tail.poll(0.2):
                beat = decode(Heartbeat, message.value)
                beats[beat.process] = beat
    except LogUnavailable as error:
        console.fail(error)
    finally:
        tail.close()
    return beats


def _memory(record: StackRecord, process: ProcessRecord) -> str:
    total = 0
    for one in marked_processes(f"{record.mark}/{process.name}"):
        try:
            total += one.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return f"{total / 1e6:.0f} MB" if total else "-"


def _health(given: Settings, process: ProcessRecord, beat: Heartbeat | None) -> str:
    if process.note and process.phase is not Phase.READY:
        return process.note
    if process.name == "serving":
        return _gateway_health(given)
    if process.name in ("streams", "learner"):
        if beat is None:
            return "no heartbeat yet"
        age = utc_now() - beat.at
        stale = age > timedelta(seconds=given.heartbeat_stale_after_s)
        waiting = "".join(f"; [yellow]{escape(part)} waits[/]: {escape(what)}" for part, what in beat.waiting.items())
        return f"{'[yellow]stale[/]: ' if stale else ''}heartbeat {age.total_seconds():.0f} s ago{waiting}"
    return process.note


def _gateway_health(given: Settings) -> str:
    try:
        answer = httpx.get(f"{given.gateway}/readyz", timeout=3)
    except httpx.HTTPError as error:
        return f"[red]no answer[/]: {error}"
    return "ready" if answer.status_code == httpx.codes.OK else f"[yellow]{answer.status_code}[/] {answer.text[:80]}"
