"""A mail server that takes every mail and passes none on. https://www.rfc-editor.org/rfc/rfc5321"""

import socket
import socketserver
import threading
import time
from collections.abc import Callable
from datetime import datetime

from incidentd.sandbox.outbox import Mailbox

LOOPBACK = "127.0.0.1"
_LINE = 4096
_MOST_BYTES = 4 * 1024 * 1024
_SECONDS = 60.0


class SmtpServer:
    """Listens on ``port`` of ``host`` until it is closed; 0 takes any free one."""

    def __init__(self, mailbox: Mailbox, clock: Callable[[], datetime], port: int = 0, host: str = LOOPBACK) -> None:
        class Session(_Session):
            """With what is to be done with a mail."""

            def keep(self, sender: str, to: list[str], content: bytes) -> None:
                mailbox.take(sender, to, content, clock(), time.monotonic())

        self._server = (_ServerIPv6 if ":" in host else _Server)((host, port), Session)
        self.host = host
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="sandbox-smtp", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it; a session that is open ends with its connection."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False


class _ServerIPv6(_Server):
    address_family = socket.AF_INET6


class _Session(socketserver.StreamRequestHandler):
    timeout = _SECONDS

    def keep(self, sender: str, to: list[str], content: bytes) -> None:
        """What becomes of a mail."""
        raise NotImplementedError

    def handle(self) -> None:
        """One connection, to its end."""
        sender: str | None = None
        to: list[str] = []
        try:
            self._say("220 sandbox ready")
            while line := self.rfile.readline(_LINE):
                verb, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
                match verb.upper():
                    case "EHLO" | "HELO":
                        sender, to = None, []
                        self._say("250 sandbox")
                    case "MAIL":
                        sender, to = _address(rest), []
                        self._say("250 OK")
                    case "RCPT" if sender is not None:
                        to.append(_address(rest))
                        self._say("250 OK")
                    case "DATA" if sender is not None and to:
                        self._say("354 go on")
                        self._take(sender, to)
                        sender, to = None, []
                    case "RSET" | "NOOP":
                        sender, to = (None, []) if verb.upper() == "RSET" else (sender, to)
                        self._say("250 OK")
                    case "QUIT":
                        self._say("221 bye")
                        return
                    case _:
                        self._say("503 not now" if verb.upper() in ("RCPT", "DATA") else "502 unknown")
        except OSError:
            return

    def _take(self, sender: str, to: list[str]) -> None:
        lines: list[bytes] = []
        size = 0
        while (line := self.rfile.readline(_MOST_BYTES)) not in (b".\r\n", b".\n"):
            size += len(line)
            if not line or size > _MOST_BYTES:
                raise ConnectionError
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        self.keep(sender, to, b"".join(lines))
        self._say("250 OK")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


def _address(rest: str) -> str:
    return rest.partition("<")[2].partition(">")[0]
