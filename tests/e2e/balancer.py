"""One name with several addresses: who connects to it gets the next of them that answers, as with Docker's DNS."""

import itertools
import selectors
import socket
import socketserver
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_CONNECT_SECONDS = 2.0


@contextmanager
def balanced(ports: Sequence[int]) -> Iterator[int]:
    """A port of loopback whose connections go to these ports in turn; one that refuses is passed over."""
    turn = itertools.count()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            first = next(turn)
            for number in range(len(ports)):
                try:
                    address = ("127.0.0.1", ports[(first + number) % len(ports)])
                    upstream = socket.create_connection(address, timeout=_CONNECT_SECONDS)
                except OSError:
                    continue
                with upstream:
                    _pump(self.request, upstream)
                return

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def _pump(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until either side ends."""
    one.setblocking(True)
    other.settimeout(None)
    to = {one: other, other: one}
    with selectors.DefaultSelector() as selector:
        for each in to:
            selector.register(each, selectors.EVENT_READ, to[each])
        try:
            while True:
                for key, _ in selector.select():
                    source = key.fileobj
                    assert isinstance(source, socket.socket)
                    data = source.recv(65_536)
                    if not data:
                        return
                    key.data.sendall(data)
        except OSError:
            return
