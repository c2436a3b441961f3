"""Whether a port is free, and whose it is when it is not."""

import socket
from dataclasses import dataclass

import psutil

from contracts.errors import StackError


@dataclass(frozen=True)
class Port:
    """A port that a process of the stack listens on; `variable` is the environment variable that moves it."""

    number: int
    purpose: str
    variable: str
    host: str = "127.0.0.1"


def is_free(port: Port) -> bool:
    """Whether the port can be listened on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((port.host, port.number))
        except OSError:
            return False
    return True


def owner(port: Port) -> str:
    """Who listens on the port, in words: pid and command where the system tells."""
    for connection in psutil.net_connections(kind="tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port.number,) and connection.pid:
            try:
                command = " ".join(psutil.Process(connection.pid).cmdline())[:120]
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                command = "unknown command"
            return f"pid {connection.pid} ({command})"
    return "a process of another user"


def require_free(ports: list[Port]) -> None:
    """Raises StackError naming every port that is taken, its owner and the variable that moves ours."""
    taken = [port for port in ports if not is_free(port)]
    if not taken:
        return
    lines = [
        f"port {port.number} ({port.purpose}) is taken by {owner(port)}; end it, or move ours with "
        f"{port.variable}={port.number + 100}"
        for port in taken
    ]
    raise StackError("found ports in use, expected them free: " + "; ".join(lines))


def answers(host: str, port: int, timeout_s: float = 1.0) -> bool:
    """Whether something accepts a connection there."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return True
    except OSError:
        return False
