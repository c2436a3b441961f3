"""Fixtures that every package's tests share: real servers, started once a session at their first use."""

import atexit
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

pytest.register_assert_rewrite("tests.suites")
hypothesis.settings.register_profile("busy", deadline=None)  # an example that is slow on a busy machine is no failure
hypothesis.settings.load_profile("busy")

from contracts.settings import Settings  # noqa: E402 - after the line that makes the suites' asserts tell values
from tests.builders import servers  # noqa: E402

ENDED = pytest.StashKey[int]()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Remembers how the session ended."""
    session.config.stash[ENDED] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends the process with the session's status, before the engines' native threads meet an interpreter taken down.

    One has crashed there (duckdb #13904 is the suspect), after the last test, and the shell saw its signal alone.
    """
    if ENDED not in config.stash:
        return
    atexit._run_exitfuncs()  # what Python would run first: clusters end, temporary folders go
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(config.stash[ENDED])


@pytest.fixture(scope="session")
def tansu() -> Iterator[str]:
    """Bootstrap servers of a Tansu broker with all topics; shared, so use keys and groups of your own."""
    with servers.running(servers.tansu()) as server:
        yield servers.with_topics(server.address, embedded=True)


@pytest.fixture(scope="session")
def real_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap servers of an Apache Kafka with all topics; shared, so use keys and groups of your own."""
    with servers.kafka_cluster(tmp_path_factory.mktemp("kafka")) as cluster:
        yield servers.with_topics(cluster.bootstrap, embedded=False)


@pytest.fixture(scope="session")
def milvus_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a Milvus Lite server; shared, so use collections of your own."""
    with servers.running(servers.milvus_lite(tmp_path_factory.mktemp("milvus"))) as server:
        yield server.address


@pytest.fixture(scope="session")
def milvus_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `real_milvus` keeps its data."""
    return tmp_path_factory.mktemp("milvus-2")


@pytest.fixture(scope="session")
def real_milvus(milvus_directory: Path) -> Iterator[servers.Server]:
    """A Milvus 2.3.5, of which a machine can run one: tests may kill it and start it, and use collections of their own.

    Skips where it is not installed.
    """
    with servers.running(servers.milvus(milvus_directory)) as server:
        yield server


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """Address of a Redis; skips where the machine has none."""
    with servers.running(servers.redis()) as server:
        yield server.address


@pytest.fixture
def local_settings(tmp_path: Path) -> Settings:
    """Settings of the embedded profile with a state directory of this test's own."""
    return Settings(state_dir=tmp_path / "state")
