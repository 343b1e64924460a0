"""HTTP under a total deadline: requests, with connections that a watchman can shut.

``timeout`` given to a session furnished here is the whole exchange's, from the name look-up to the last byte of the
answer. No redirect is followed, no cookie kept, no credential taken from ``.netrc``, and TLS is always verified.
"""

import io
import queue
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

import requests
import urllib3
import urllib3.connection
import urllib3.exceptions
import urllib3.util.connection
from requests.adapters import HTTPAdapter

from incidentd.channels.deadline import Call, Deadline, Lever, Watchman
from incidentd.channels.failure import FOREIGN, is_stale, translate
from incidentd.channels.resolver import Resolver
from incidentd.errors import DeliveryError, UncertainError

CONNECT_SECONDS = 3.05
"""Slightly over a multiple of 3 s, in which TCP sends its first packet again."""

IDLE_SECONDS = 60.0
"""After so long an unused connection is shut."""

ANSWER_LIMIT = 1 << 20
"""Bytes of an answer, inflated. Slack's longest, a page of history, stays well below."""

SessionT = TypeVar("SessionT", bound=requests.Session)

_CHUNK = 1 << 16
_ADDRESSES = 64
# As many as a process sends side by side.
_AT_ONCE = 128
_CALL: ContextVar[Call] = ContextVar("call")
_RESOLVER: ContextVar[Resolver] = ContextVar("resolver")
_WATCHMAN: ContextVar[Watchman] = ContextVar("watchman")


class _Connection(urllib3.connection.HTTPConnection):
    """Hands the watchman a lever as soon as there is a socket, and notes when the request begins to leave."""

    lever: Lever | None = None
    rests_since = 0.0

    def _new_conn(self) -> socket.socket:
        call = _CALL.get()
        call.reused = False
        self._let_go()
        sock = self._reach(call.deadline)
        self.lever = Lever(sock)
        call.grip(self.lever)
        return sock

    def _reach(self, deadline: Deadline) -> socket.socket:
        """A connection to the first address that answers."""
        failure: OSError = socket.gaierror("no address")
        for address in _RESOLVER.get().addresses(self._dns_host.strip("[]"), self.port, deadline):
            seconds = min(CONNECT_SECONDS, deadline.remaining)
            if not seconds:
                raise TimeoutError
            try:
                return urllib3.util.connection.create_connection(
                    (address, self.port), seconds, self.source_address, self.socket_options
                )
            except OSError as error:
                failure = error
        raise failure

    def connect(self) -> None:
        """Connect, and greet by TLS and through the proxy: none of it is the request yet."""
        try:
            super().connect()
        finally:
            _CALL.get().sent = False

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Put the connection under this call's deadline, then send."""
        if self.lever is not None:
            _CALL.get().grip(self.lever)
        super().request(*args, **kwargs)

    def send(self, data: Any) -> None:
        """Send; from here on the receiver may have heard us."""
        if self.sock is None:
            self.connect()
        _CALL.get().sent = True
        super().send(data)

    def close(self) -> None:
        """Close; a reply that is still being read keeps the lever until it is whole."""
        super().close()
        self._let_go()

    def _let_go(self) -> None:
        if self.lever is not None:
            self.lever.abandon()
            self.lever = None


class _SecureConnection(_Connection, urllib3.connection.HTTPSConnection):
    pass


class _Kept(queue.LifoQueue[Any]):
    """Connections to be used again, the last used first; what a burst left behind is shut after a while."""

    _sweep: "_Sweep | None" = None

    def _put(self, item: Any) -> None:
        if item is not None:
            item.rests_since = time.monotonic()
            watchman = _WATCHMAN.get(None)
            if watchman is not None and self._sweep is None:
                self._watch(watchman, IDLE_SECONDS)
        super()._put(item)

    def _watch(self, watchman: Watchman, seconds: float) -> None:
        self._sweep = _Sweep(self, watchman, Deadline(seconds))
        watchman.watch(self._sweep)

    def sweep(self, watchman: Watchman) -> None:
        """Shut what has rested for long enough; what hasn't is looked at again then."""
        with self.mutex:
            now, self._sweep = time.monotonic(), None
            self._shut_before(now - IDLE_SECONDS)
            rests = [each.rests_since for each in self.queue if each is not None]
            if rests:
                self._watch(watchman, IDLE_SECONDS - (now - min(rests)))

    def _shut_before(self, then: float) -> None:
        """None is a place for one."""
        for place, connection in enumerate(self.queue):
            if connection is not None and connection.rests_since <= then:
                self.queue[place] = None
                # The watchman does this: one that can't be shut must not take him from the calls that he guards.
                with suppress(OSError):
                    connection.close()


@dataclass(frozen=True, slots=True)
class _Sweep:
    """When to look at kept connections."""

    kept: _Kept
    watchman: Watchman
    deadline: Deadline

    def expire(self) -> None:
        """Look."""
        self.kept.sweep(self.watchman)


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection
    QueueCls = _Kept


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection
    QueueCls = _Kept


_POOLS = {"http": _Pool, "https": _SecurePool}


class DeadlineAdapter(HTTPAdapter):
    """A pool of kept-alive connections under deadlines, safe for several threads.

    ``resend``: requests are idempotent, so that one which met a connection closed meanwhile is sent again at once. It
    may have been heard all the same, so that a second one that is not accepted is uncertain.
    ``answer_limit``: bytes that an answer may have, inflated.
    """

    def __init__(
        self, watchman: Watchman, resolver: Resolver, *, resend: bool = False, answer_limit: int = ANSWER_LIMIT
    ) -> None:
        super().__init__(pool_maxsize=_AT_ONCE)
        self._keys: dict[tuple[str | None, Any, Any], Any] = {}
        self._answer_limit = answer_limit
        self._watchman = watchman
        self._resolver = resolver
        self._resend = resend

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As in requests, with our connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """As in requests, with our connections."""
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        """As in requests, which looks on the disk for each request whether the certificates are a folder."""
        named = (request.url, verify, cert)
        found = self._keys.get(named)
        if found is None:
            found = super().build_connection_pool_key_attributes(request, verify, cert)
            if len(self._keys) >= _ADDRESSES:
                self._keys.clear()
            self._keys[named] = found
        return dict(found[0]), dict(found[1])

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002 (the answer is always whole)
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """The whole answer, within ``timeout`` seconds in all.

        Raises:
            TransientError: the request never left.
            UncertainError: it left, and no whole answer came.
            PermanentError: no request can be made of it.
        """

        def exchange(call: Call) -> requests.Response:
            seconds = (min(CONNECT_SECONDS, call.deadline.remaining), call.deadline.remaining)
            return super(DeadlineAdapter, self).send(request, True, seconds, verify or True, cert, proxies)

        deadline = Deadline(timeout)
        call = Call(deadline)
        answer = self._try(exchange, call)
        if self._resend and call.stale:
            self.close()
            answer = _doubtful(self._try(exchange, Call(deadline)))
        if isinstance(answer, DeliveryError):
            raise answer
        return answer

    def _try(self, exchange: Callable[[Call], requests.Response], call: Call) -> requests.Response | DeliveryError:
        """The answer, or the error: returned, so that no foreign error with a key in it becomes its context."""
        _CALL.set(call)
        _RESOLVER.set(self._resolver)
        _WATCHMAN.set(self._watchman)
        self._watchman.watch(call)
        try:
            return exchange(call)
        except FOREIGN as error:
            call.stale = is_stale(error, call)
            return translate(error, call)
        finally:
            call.end()

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """The answer with its body read and bounded, and nowhere to be redirected to."""
        call = _CALL.get()
        call.answered = True
        try:
            body = _read(resp, call, self._answer_limit)
        except BaseException:
            resp.close()
            raise
        resp.release_conn()
        whole: Any = _Whole(body, resp)
        return super().build_response(req, whole)


def _doubtful(answer: requests.Response | DeliveryError) -> requests.Response | DeliveryError:
    """What a second try comes to. Unless this one is accepted, the first may be what the receiver has heard."""
    accepted = isinstance(answer, requests.Response) and answer.status_code // 100 == 2
    return answer if accepted else UncertainError("the connection broke before the answer was whole")


_SPENT = frozenset({"location", "content-encoding", "transfer-encoding", "content-length", "set-cookie"})


class _Whole(io.BytesIO):
    """An answer that has been read, as far as requests asks for it; without what it would act upon."""

    def __init__(self, body: bytes, resp: urllib3.HTTPResponse) -> None:
        super().__init__(body)
        self.status = resp.status
        self.reason = resp.reason
        self.headers = {name: value for name, value in resp.headers.items() if name.lower() not in _SPENT}


def _read(resp: urllib3.HTTPResponse, call: Call, limit: int) -> bytes:
    body = bytearray()
    for chunk in resp.stream(_CHUNK, decode_content=True):
        body += chunk
        if len(body) > limit:
            raise urllib3.exceptions.HTTPError("the answer is too long")
    if call.expired:
        raise TimeoutError("an answer of unknown length only seems to end when its connection is shut")
    return bytes(body)


def furnish(session: SessionT, adapter: DeadlineAdapter, url: str) -> SessionT:
    """The session, sending through ``adapter`` alone, to where ``url`` leads.

    Proxies and certificates are taken from the environment once: requests would search all of it for each request.
    """
    # An address that is none is noticed, and named, where a request is made for it.
    with suppress(ValueError):
        found = session.merge_environment_settings(url, {}, None, None, None)
        session.proxies, session.verify, session.trust_env = dict(found["proxies"]), found["verify"], False
    session.adapters.clear()
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    session.auth = _no_auth
    session.headers["Accept-Encoding"] = "identity"
    return session


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Requests would else replace our Authorization header by what ``.netrc`` holds for the host."""
    return request
