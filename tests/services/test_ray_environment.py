"""Ray's environment: short paths, free ports, HAProxy on loopback, a token of one's own."""

import os
import stat
import subprocess
from pathlib import Path
from socket import AF_INET, SOCK_STREAM, socket

import pytest

from contracts.settings import Settings
from services import ray_environment


def test_the_directory_leaves_room_for_haproxys_socket_and_differs_by_state(tmp_path: Path) -> None:
    one, other = (ray_environment.short_directory(Settings(state_dir=tmp_path / name)) for name in ("one", "other"))
    assert one != other
    assert len(f"{one}/{'n' * 56}/admin.sock") <= 97


def test_an_operators_variable_is_left_and_all_others_are_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"RAY_SERVE_HAPROXY_STATS_PORT": "12345"})
    monkeypatch.setattr(ray_environment, "short_directory", lambda _: tmp_path / "ray")
    assert ray_environment.prepare(Settings(state_dir=tmp_path)) == tmp_path / "ray"
    assert os.environ["RAY_SERVE_HAPROXY_STATS_PORT"] == "12345"
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    token = Path(os.environ["RAY_AUTH_TOKEN_PATH"])
    assert len(token.read_text()) == 64
    assert stat.S_IMODE(token.stat().st_mode) == 0o600


def test_haproxys_own_ports_are_bound_to_loopback(tmp_path: Path) -> None:
    wrapper = ray_environment.haproxy_on_loopback(tmp_path)
    wrapper.write_text(wrapper.read_text().replace("exec ", "exec echo "))
    configuration = tmp_path / "haproxy.cfg"
    configuration.write_text(
        "frontend p\n    bind :9101\nlisten stats\n  bind *:8404\nfrontend h\n    bind 0.0.0.0:8000\n"
    )
    subprocess.run([wrapper, "-f", configuration], check=True, stdout=subprocess.DEVNULL)
    binds = [line.strip() for line in configuration.read_text().splitlines() if "bind" in line]
    assert binds == ["bind 127.0.0.1:9101", "bind 127.0.0.1:8404", "bind 0.0.0.0:8000"]


def test_ports_in_use_are_passed_over() -> None:
    (first,) = ray_environment.free_ports(1)
    with socket(AF_INET, SOCK_STREAM) as taken:
        taken.bind(("127.0.0.1", first))
        taken.listen()
        assert first not in ray_environment.free_ports(4)
