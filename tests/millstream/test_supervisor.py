"""The supervisor with trivial processes: order, readiness, restarts, giving up, and leaving nothing running."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from contracts.errors import StackError
from contracts.settings import Settings
from millstream.stack import leash
from millstream.stack.kin import marked_processes, sweep
from millstream.stack.ports import Port, require_free
from millstream.stack.specs import ProcessSpec, in_order
from millstream.stack.state import Phase, read_state, state_file
from millstream.stack.supervisor import START_ATTEMPTS, Supervisor

MARK = f"millstream-test-{os.getpid()}"


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    assert sweep(MARK) == 0, "the supervisor left processes running"


def _spec(tmp_path: Path, name: str, code: str, **given: object) -> ProcessSpec:
    fields: dict[str, object] = {"ready": lambda: True, "stop_grace_s": 3.0, **given}
    return ProcessSpec(
        name=name, title=name, command=(sys.executable, "-c", code), log=tmp_path / f"{name}.log", **fields,  # type: ignore[arg-type]
    )  # fmt: skip


def _supervisor(specs: list[ProcessSpec], settings: Settings, **given: object) -> Supervisor:
    return Supervisor(specs, settings, state_file(settings), MARK, **given)  # type: ignore[arg-type]


def _until(supervisor: Supervisor, wanted: Callable[[], bool], within_s: float = 15.0) -> None:
    deadline = time.monotonic() + within_s
    while not wanted():
        assert time.monotonic() < deadline, supervisor.record().model_dump_json(indent=1)
        supervisor.step()
        time.sleep(0.02)


SLEEPS = "import time; time.sleep(60)"


def test_a_process_starts_once_what_it_needs_is_ready(tmp_path: Path, local_settings: Settings) -> None:
    door = tmp_path / "door"
    first = _spec(tmp_path, "first", SLEEPS, ready=door.exists)
    once = _spec(tmp_path, "once", "pass", ready=None, needs=("first",))
    last = _spec(tmp_path, "last", SLEEPS, needs=("once",))
    supervisor = _supervisor([last, once, first], local_settings)
    for _ in range(5):
        supervisor.step()
    assert supervisor.record().process("last").phase is Phase.WAITING
    door.touch()
    _until(supervisor, lambda: supervisor.phase is Phase.READY)
    assert supervisor.record().process("once").phase is Phase.DONE
    supervisor.stop()
    record = read_state(state_file(local_settings))
    assert record is not None
    assert record.process("first").pid is not None


def test_a_process_that_dies_is_restarted_after_its_back_off(tmp_path: Path, local_settings: Settings) -> None:
    supervisor = _supervisor([_spec(tmp_path, "server", SLEEPS)], local_settings)
    _until(supervisor, lambda: supervisor.phase is Phase.READY)
    first = supervisor.record().process("server").pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    _until(supervisor, lambda: supervisor.record().process("server").restarts == 1)
    assert supervisor.record().process("server").note == "ended with signal 9"
    _until(supervisor, lambda: supervisor.record().process("server").phase is Phase.READY)
    assert supervisor.record().process("server").pid not in (None, first)
    supervisor.stop()


def test_a_process_that_never_starts_fails_the_stack_with_its_log(tmp_path: Path, local_settings: Settings) -> None:
    broken = _spec(tmp_path, "broken", "import sys; sys.exit('found no engine oil')", ready=lambda: False)
    supervisor = _supervisor([broken], local_settings)
    assert supervisor.run(lambda: False) is Phase.FAILED
    record = read_state(state_file(local_settings))
    assert record is not None
    assert record.process("broken").restarts == START_ATTEMPTS
    assert "found no engine oil" in record.failure


def test_a_stalled_process_is_restarted_with_the_reason(tmp_path: Path, local_settings: Settings) -> None:
    stalls = [{"server": "3 messages wait"}]
    supervisor = _supervisor(
        [_spec(tmp_path, "server", SLEEPS)], local_settings, stalled=lambda: stalls.pop() if stalls else {}
    )
    _until(supervisor, lambda: supervisor.record().process("server").restarts == 1)
    assert supervisor.record().process("server").note == "3 messages wait"
    supervisor.stop()


def test_when_the_log_dies_its_dependents_stop_state_is_put_aside_and_all_start_again(
    tmp_path: Path, local_settings: Settings
) -> None:
    lost: list[list[Phase]] = []
    specs = [
        _spec(tmp_path, "broker", SLEEPS, carries_log=True),
        _spec(tmp_path, "topics", "pass", ready=None, needs=("broker",)),
        _spec(tmp_path, "streams", SLEEPS, needs=("topics",)),
        _spec(tmp_path, "vectors", SLEEPS),
    ]
    supervisor = _supervisor(
        specs,
        local_settings,
        log_lost=lambda: lost.append([supervisor.record().process(name).phase for name in ("topics", "streams")]),
    )
    _until(supervisor, lambda: supervisor.phase is Phase.READY)
    before = {name: supervisor.record().process(name).pid for name in ("broker", "streams", "vectors")}
    os.kill(before["broker"] or 0, signal.SIGKILL)
    _until(supervisor, lambda: bool(lost))
    assert lost == [[Phase.WAITING, Phase.WAITING]]
    _until(supervisor, lambda: all(p.phase in (Phase.READY, Phase.DONE) for p in supervisor.record().processes))
    after = {name: supervisor.record().process(name).pid for name in before}
    assert after["broker"] != before["broker"]
    assert after["streams"] != before["streams"]
    assert after["vectors"] == before["vectors"]
    supervisor.stop()


def test_stopping_ends_grandchildren_that_left_the_process_group(tmp_path: Path, local_settings: Settings) -> None:
    code = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)\n"
        "time.sleep(60)"
    )
    supervisor = _supervisor([_spec(tmp_path, "parent", code)], local_settings)
    _until(supervisor, lambda: len(marked_processes(MARK)) == 2)
    supervisor.stop()
    assert marked_processes(MARK) == []


def test_a_leashed_process_ends_with_its_parent(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    parent_code = (
        "import os, subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-I', '-S', {leash.__file__!r}, str(os.getpid()), 'sleep', '60'])\n"
        f"open({str(pid_file)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", parent_code])
    deadline = time.monotonic() + 10
    while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    child = psutil.Process(int(pid_file.read_text()))
    while child.name() != "sleep" and time.monotonic() < deadline:
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    gone, _ = psutil.wait_procs([child], timeout=5)
    assert gone == [child]


def test_a_port_that_is_taken_is_named_with_its_owner_and_the_variable_that_moves_ours() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        number = listener.getsockname()[1]
        with pytest.raises(StackError, match=rf"port {number} .*pid {os.getpid()}.*MILLSTREAM_GATEWAY_PORT="):
            require_free([Port(number, "gateway", "MILLSTREAM_GATEWAY_PORT")])


def test_needs_that_form_a_circle_are_refused(tmp_path: Path) -> None:
    specs = (_spec(tmp_path, "a", SLEEPS, needs=("b",)), _spec(tmp_path, "b", SLEEPS, needs=("a",)))
    with pytest.raises(ValueError, match="cannot be met"):
        in_order(specs)
