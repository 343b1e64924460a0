"""A receiver on raw sockets, that answers as a test tells it to, or not at all."""

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl

PATIENCE = 10.0


@dataclass(frozen=True)
class Request:
    """One request as it came in."""

    target: str
    headers: Mapping[str, str]
    body: bytes
    connection: int

    @property
    def path(self) -> str:
        return self.target.split("?", 1)[0]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def fields(self) -> dict[str, str]:
        """A form's fields, or a JSON object's strings."""
        if self.headers.get("content-type", "").startswith("application/json"):
            return {name: value for name, value in self.json.items() if isinstance(value, str)}
        return dict(parse_qsl(self.body.decode()))


Behaviour = Callable[["Receiver", Request, socket.socket], bool]
"""Answers on the socket; True where the connection stays open."""


def answer(
    status: int = 200, body: object = None, headers: Mapping[str, str] | None = None, raw: bytes | None = None
) -> Behaviour:
    def behave(_receiver: "Receiver", _request: Request, sock: socket.socket) -> bool:
        sock.sendall(message(status, body, headers, raw))
        return True

    return behave


def message(
    status: int = 200, body: object = None, headers: Mapping[str, str] | None = None, raw: bytes | None = None
) -> bytes:
    content = raw if raw is not None else json.dumps(body).encode()
    lines = {"Content-Length": str(len(content)), "Content-Type": "application/json", **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + content


def silence(receiver: "Receiver", _request: Request, _sock: socket.socket) -> bool:
    """Accepted, and never answered."""
    receiver.closing.wait(PATIENCE)
    return False


def drop(_receiver: "Receiver", _request: Request, _sock: socket.socket) -> bool:
    """Accepted; the connection closes without a byte of an answer."""
    return False


def leave(receiver: "Receiver", _request: Request, _sock: socket.socket) -> bool:
    """Accepted; then the receiver is gone, without a byte of an answer."""
    receiver.refuse()
    return False


def reset(_receiver: "Receiver", _request: Request, sock: socket.socket) -> bool:
    """Accepted; the connection is reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def drip(text: bytes, at_once: int = 0) -> Behaviour:
    """Sends ``at_once`` bytes, and one each 50 ms from there on."""

    def behave(receiver: "Receiver", _request: Request, sock: socket.socket) -> bool:
        sock.sendall(text[:at_once])
        for byte in text[at_once:]:
            if receiver.closing.wait(0.05):
                return False
            sock.sendall(bytes([byte]))
        return False

    return behave


@dataclass
class Receiver:
    """Serves on a free port of loopback between ``with`` and its end; ``usual`` answers once ``script`` is used up."""

    usual: Behaviour
    script: list[Behaviour] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    context: ssl.SSLContext | None = None
    closing: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.closing.set()
        self.refuse()
        self.hang_up()
        for thread in self._threads:
            thread.join(PATIENCE)

    @property
    def url(self) -> str:
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}"

    def refuse(self) -> None:
        """Take no connection any more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def hang_up(self) -> None:
        """Close every connection that is open."""
        for sock in self._open:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, connection: int) -> None:
        try:
            with self.context.wrap_socket(sock, server_side=True) if self.context else sock as wire:
                wire.settimeout(PATIENCE)
                stream = wire.makefile("rb")
                with stream:
                    while (request := _read(stream, connection)) is not None and self._behave(request, wire):
                        pass
        except OSError:
            return

    def _behave(self, request: Request, sock: socket.socket) -> bool:
        behaviour = self.script.pop(0) if self.script else self.usual
        self.requests.append(request)
        return behaviour(self, request, sock)


def _read(stream: Any, connection: int) -> Request | None:
    first = stream.readline().decode().split()
    if len(first) != 3:
        return None
    headers: dict[str, str] = {}
    while line := stream.readline().decode().strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return Request(first[1], headers, stream.read(int(headers.get("content-length", "0"))), connection)
