"""The serving plane really started by Ray: no request reaches a replica that has not read the log."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from contracts.settings import Settings
from contracts.topics import TOPICS
from eventlog.admin import create_topics
from feature_repo.store_config import apply
from services import ray_environment
from tests.builders import servers

REPLICAS = 2
STARTED_WITHIN_S = 120.0
READY_WITHIN_S = 60.0
WATCHED_S = 10.0
"""A replica whose threads run answers within less, if it is let."""


@contextmanager
def serving(bootstrap: str, directory: Path) -> Iterator[str]:
    """`python -m services` over a broker; gives the gateway's URL, answering or not."""
    port = servers.free_port()
    environment = os.environ | {
        "MILLSTREAM_KAFKA_BOOTSTRAP": bootstrap,
        "MILLSTREAM_GATEWAY_PORT": str(port),
        "MILLSTREAM_STATE_DIR": str(directory),
        "MILLSTREAM_MILVUS_URI": "http://127.0.0.1:1",
        "MILLSTREAM_SERVING_REPLICAS": str(REPLICAS),
    }
    with (directory / "serving.log").open("wb") as log:
        started = subprocess.Popen([sys.executable, "-m", "services"], env=environment, stdout=log, stderr=log)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            started.send_signal(signal.SIGTERM)
            try:
                started.wait(40)
            except subprocess.TimeoutExpired:
                started.kill()


def status(url: str) -> int | None:
    """The status of an answer to a shopper; None where nobody gives one."""
    try:
        return httpx.post(f"{url}/v1/recommendations", json={"user_id": "ann"}, timeout=2.0).status_code
    except httpx.TransportError:
        return None


def replicas_reading(directory: Path) -> int:
    """How many replicas have started their threads: each says that it finds no log."""
    logs = ray_environment.short_directory(Settings(state_dir=directory)) / "ray" / "session_latest" / "logs"
    return sum("the log is away" in written.read_text() for written in logs.glob("worker-*.err"))


@pytest.mark.e2e
@pytest.mark.timeout(400)
def test_serve_gives_a_replica_no_request_before_it_has_read_the_log(tmp_path: Path) -> None:
    apply(Settings(state_dir=tmp_path))
    with servers.running(servers.tansu()) as broker, serving(broker.address, tmp_path) as url:
        deadline = time.monotonic() + STARTED_WITHIN_S
        while replicas_reading(tmp_path) < REPLICAS:
            assert time.monotonic() < deadline, (tmp_path / "serving.log").read_text()[-2000:]
            time.sleep(0.5)
        watched = time.monotonic() + WATCHED_S
        seen = set()
        while time.monotonic() < watched:
            seen.add(status(url))
        # Without its topics the log cannot be read. Only Serve's own proxy answers, that there is no such application.
        assert seen <= {None, 404}
        create_topics(broker.address, TOPICS, embedded=True)
        deadline = time.monotonic() + READY_WITHIN_S
        while (found := status(url)) != httpx.codes.OK:
            assert found != httpx.codes.SERVICE_UNAVAILABLE, "a replica that starts was given a request"
            assert time.monotonic() < deadline, (tmp_path / "serving.log").read_text()[-2000:]
            time.sleep(0.2)
