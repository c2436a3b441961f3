"""Becomes a Milvus 2.3.5 that listens on loopback: `PYTHON run_milvus.py DIRECTORY PORT HEALTH_PORT`.

PYTHON is that of `.venv-milvus` (scripts/install_milvus.sh). The wheel starts the server as a child; here it takes this
process's place, so that a signal meets the server itself.
"""

import os
import socket
import sys

import milvus


def bound(port: int) -> socket.socket | None:
    """A socket on the port; None where something listens there.

    The wheel's own takes connections that have not run out for a listener, and a server started again another port.
    """
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind(("127.0.0.1", port))
    except OSError:
        return None
    return probe


def main() -> None:
    """Never returns."""
    directory, port, health_port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    server = milvus.MilvusServer(wait_for_started=False)
    server.set_base_dir(directory)
    server.listen_port = port
    server.webservice_port = health_port
    milvus.subprocess.Popen = lambda command, env, **files: os.execve(command[0], command, env)
    server.config.try_bind_port = bound
    server.start()


if __name__ == "__main__":
    main()
