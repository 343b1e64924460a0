"""Name look-ups that keep a deadline: the C library's resolver can't be interrupted, only left alone."""

import socket
import threading
from concurrent.futures import Future

from incidentd.channels.deadline import Deadline


class Resolver:
    """Looks names up in threads of its own, one for each name in flight, however many wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_flight: dict[tuple[str, int], Future[list[str]]] = {}

    def addresses(self, host: str, port: int, deadline: Deadline) -> list[str]:
        """The host's addresses in the order to be tried.

        Raises:
            OSError: there is none (``socket.gaierror``), or no answer came in time (``TimeoutError``).
        """
        with self._lock:
            lookup = self._in_flight.get((host, port))
            if lookup is None:
                lookup = self._in_flight[host, port] = Future()
                threading.Thread(target=self._look_up, args=(host, port, lookup), name="lookup", daemon=True).start()
        return lookup.result(timeout=deadline.remaining)

    def _look_up(self, host: str, port: int, lookup: Future[list[str]]) -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answer = list(dict.fromkeys(str(each[4][0]) for each in found))
        except (OSError, UnicodeError) as error:
            self._forget(host, port)
            lookup.set_exception(error if isinstance(error, OSError) else socket.gaierror("no such name"))
        else:
            self._forget(host, port)
            lookup.set_result(answer)

    def _forget(self, host: str, port: int) -> None:
        with self._lock:
            del self._in_flight[host, port]
