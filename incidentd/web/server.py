"""The HTTP server: uvicorn, bounded, ending cleanly on SIGTERM."""

import signal
import socket
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from incidentd.errors import IncidentdError
from incidentd.web.connection import DEFAULT_LIMITS, Limits, bounded

_START_SECONDS = 10.0
_GRACE_SECONDS = 10
_BACKLOG = 2048


class _Server(uvicorn.Server):
    """Ends by returning: uvicorn itself would raise the signal again, and the process would seem killed."""

    def __init__(self, config: uvicorn.Config, begun: Callable[[], None] = lambda: None) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._begun = begun

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        self.ready.set()
        self._begun()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """SIGTERM and SIGINT let requests finish; a second SIGINT doesn't wait for them."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens nowhere yet, but holds the address; port 0 lets the system choose.

    Raises:
        OSError: the address is taken or not this machine's.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    bound.setblocking(False)
    return bound


def serve(
    app: ASGIApp,
    listener: socket.socket,
    limits: Limits = DEFAULT_LIMITS,
    *,
    websockets: bool = False,
    begun: Callable[[], None] = lambda: None,
    cut_off: Callable[[str], None] = lambda _status: None,
) -> None:
    """Serve until SIGTERM or SIGINT, finish what has begun, and return.

    ``websockets``: take them too, as the sandbox does; incidentd itself has none. ``begun`` is called once it listens,
    and must not block. ``cut_off`` is told the status with which a request is refused that never comes whole.
    """
    _Server(_config(app, limits, cut_off, websockets=websockets), begun).run(sockets=[listener])


@contextmanager
def serving(
    app: ASGIApp,
    listener: socket.socket,
    limits: Limits = DEFAULT_LIMITS,
    *,
    websockets: bool = False,
    cut_off: Callable[[str], None] = lambda _status: None,
) -> Iterator[str]:
    """Serve in a thread while the block runs; yields the base URL. ``websockets`` and ``cut_off`` as in ``serve``.

    Raises:
        IncidentdError: the application did not start.
    """
    server = _Server(_config(app, limits, cut_off, websockets=websockets))
    host, port = listener.getsockname()[:2]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="web", daemon=True)
    thread.start()
    try:
        if not server.ready.wait(_START_SECONDS):
            raise IncidentdError("the web server did not start")
        yield f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join(_GRACE_SECONDS)


def _config(app: ASGIApp, limits: Limits, cut_off: Callable[[str], None], *, websockets: bool) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=bounded(limits, cut_off),
        loop="auto",
        ws="websockets-sansio" if websockets else "none",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=limits.keep_alive_seconds,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
