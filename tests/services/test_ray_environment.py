"""Ray's environment: short paths, free ports, HAProxy on loopback, a token of one's own."""

import os
import stat
import subprocess
from pathlib import Path
from socket import AF_INET, SOCK_STREAM, socket

import pytest

from contracts.errors import StackError
from contracts.settings import Settings
from services import ray_environment


def test_the_directory_leaves_room_for_haproxys_socket_and_differs_by_state(tmp_path: Path) -> None:
    one, other = (ray_environment.short_directory(Settings(state_dir=tmp_path / name)) for name in ("one", "other"))
    assert one != other
    assert len(f"{one}/{'n' * 56}/admin.sock") <= 97


def test_an_operators_variable_is_left_and_all_others_are_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"RAY_SERVE_HAPROXY_STATS_PORT": "12345"})
    monkeypatch.setattr(ray_environment, "short_directory", lambda _: tmp_path / "ray")
    assert ray_environment.prepare(Settings(state_dir=tmp_path)) == tmp_path / "ray" / "ray"
    assert stat.S_IMODE((tmp_path / "ray").stat().st_mode) == 0o700
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


def test_a_program_in_a_folder_with_a_space_in_its_name_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "my shop's clone" / "haproxy"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho started "$@"\n')
    program.chmod(0o700)
    monkeypatch.setattr(ray_environment, "get_haproxy_binary", lambda: str(program))
    wrapper = ray_environment.haproxy_on_loopback(tmp_path)
    ran = subprocess.run([wrapper, "-v"], check=True, capture_output=True, text=True)
    assert ran.stdout == "started -v\n"


def test_a_directory_that_was_open_to_others_is_closed_and_their_files_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {})
    made = tmp_path / "stack"
    monkeypatch.setattr(ray_environment, "short_directory", lambda _: made)
    made.mkdir()
    made.chmod(0o777)
    theirs = tmp_path / "theirs"
    theirs.write_text("known to them")
    (made / "token").symlink_to(theirs)
    (made / "haproxy-on-loopback").symlink_to(theirs)
    ray_environment.prepare(Settings(state_dir=tmp_path))
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert len((made / "token").read_text()) == 64
    assert "exec" in (made / "haproxy-on-loopback").read_text()
    assert theirs.read_text() == "known to them"
    token = (made / "token").read_text()
    os.environ.clear()
    ray_environment.prepare(Settings(state_dir=tmp_path))
    assert (made / "token").read_text() == token


def test_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "ray").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StackError, match="expected a directory of user"):
        ray_environment.require_own(tmp_path / "ray")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    made = tmp_path / "ray"
    made.mkdir(mode=0o700)
    os.chown(made, 65534, 65534)
    with pytest.raises(StackError, match="of user 65534"):
        ray_environment.require_own(made)


def test_ports_in_use_are_passed_over() -> None:
    (first,) = ray_environment.free_ports(1)
    with socket(AF_INET, SOCK_STREAM) as taken:
        taken.bind(("127.0.0.1", first))
        taken.listen()
        assert first not in ray_environment.free_ports(4)
