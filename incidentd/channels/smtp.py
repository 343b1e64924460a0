"""SMTP under a total deadline: smtplib, over a connection that a watchman can shut.

https://www.rfc-editor.org/rfc/rfc5321; replies of 4xx may pass, those of 5xx don't (4.2.1).
"""

import platform
import smtplib
import socket
import ssl
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from incidentd.channels.deadline import Call, Deadline, Lever, Watchman
from incidentd.channels.failure import translate
from incidentd.channels.mail_server import MailServer, Security
from incidentd.channels.resolver import Resolver
from incidentd.channels.transport import CONNECT_SECONDS
from incidentd.errors import DeliveryError, PermanentError, TransientError, UncertainError

LASTING = 500
"""From here on a reply is no."""

_OK = 250
_TAKEN = (250, 251)
_NOT_OFFERED = "the mail server doesn't offer"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Who has been taken as a recipient, and with which reply the others were refused."""

    accepted: frozenset[str]
    refused: dict[str, int] = field(default_factory=dict)


class _Client(smtplib.SMTP):
    """Hands the watchman a lever as soon as there is a socket. Speaks TLS from the start where it is to."""

    def __init__(self, server: MailServer, call: Call, resolver: Resolver, context: ssl.SSLContext) -> None:
        self._server = server
        self._call = call
        self._resolver = resolver
        self._context = context
        self.lever: Lever | None = None
        name = platform.node()
        super().__init__(local_hostname=name if "." in name and name.isascii() else "[127.0.0.1]")
        # What STARTTLS compares the certificate with.
        self._host = server.host

    def _get_socket(self, _host: str, port: int, _timeout: float) -> socket.socket:
        sock = self._reach(port)
        self.lever = Lever(sock)
        self._call.grip(self.lever)
        if self._server.security is Security.IMPLICIT:
            return self._context.wrap_socket(sock, server_hostname=self._server.host)
        return sock

    def _reach(self, port: int) -> socket.socket:
        failure: OSError = socket.gaierror("no address")
        for address in self._resolver.addresses(self._server.host, port, self._call.deadline):
            seconds = min(CONNECT_SECONDS, self._call.deadline.remaining)
            if not seconds:
                raise TimeoutError
            try:
                sock = socket.create_connection((address, port), seconds)
            except OSError as error:
                failure = error
            else:
                # The watchman is first.
                sock.settimeout(self._call.deadline.remaining + 1)
                return sock
        raise failure


class MailSession:
    """One signed-in connection."""

    def __init__(self, client: _Client, call: Call) -> None:
        self._client = client
        self._call = call

    def send(self, sender: str, to: Collection[str], content: bytes) -> Outcome:
        """Hand one mail in, for those recipients whom the server takes; where it takes none, nothing is sent.

        Raises:
            TransientError, UncertainError, PermanentError: the mail was not taken.
        """
        code, _ = self._client.mail(sender)
        if code != _OK:
            raise refusal(code, "the sender")
        refused = {each: code for each in to if (code := self._client.rcpt(each)[0]) not in _TAKEN}
        accepted = frozenset(to) - set(refused)
        if not accepted:
            return Outcome(accepted, refused)
        self._call.sent = True
        code, _ = self._client.data(content)
        if code != _OK:
            raise refusal(code, "the mail")
        return Outcome(accepted, refused)


@contextmanager
def mail_session(
    server: MailServer, watchman: Watchman, resolver: Resolver, context: ssl.SSLContext, seconds: float
) -> Iterator[MailSession]:
    """A connection with TLS begun and the user signed in, all of it and what follows within ``seconds``.

    Raises:
        TransientError: no connection, or the server can't take mail now.
        UncertainError: it broke after the mail had begun to leave.
        PermanentError: it refuses the user, or offers no TLS.
    """
    call = Call(Deadline(seconds))
    call.reused = False
    watchman.watch(call)
    client = _Client(server, call, resolver, context)
    failure: DeliveryError | None = None
    try:
        _greet(client, server, context)
        yield MailSession(client, call)
        with suppress(smtplib.SMTPException, OSError):
            client.quit()
    except (smtplib.SMTPException, OSError, ValueError) as error:
        failure = _failure(error, call)
    finally:
        call.end()
        client.close()
        if client.lever:
            client.lever.abandon()
    if failure is not None:
        # Not from the foreign error: it may hold what the server said of the user.
        raise failure


def _greet(client: _Client, server: MailServer, context: ssl.SSLContext) -> None:
    code, _ = client.connect(server.host, server.port)
    if code != 220:
        raise refusal(code, "the connection")
    client.ehlo_or_helo_if_needed()
    if server.security is Security.STARTTLS:
        if not client.has_extn("starttls"):
            raise PermanentError(f"{_NOT_OFFERED} STARTTLS")
        code, _ = client.starttls(context=context)
        if code != 220:
            raise refusal(code, "STARTTLS")
        client.ehlo()
    if server.user:
        if not client.has_extn("auth"):
            raise PermanentError(f"{_NOT_OFFERED} to sign in")
        client.login(server.user, server.password)


def _failure(error: Exception, call: Call) -> DeliveryError:
    """Ours for a foreign one. Its text is fixed: what a server says may repeat what it was told."""
    match error:
        case smtplib.SMTPAuthenticationError() if error.smtp_code >= LASTING:
            return PermanentError(f"the mail server refuses user or password ({error.smtp_code})")
        case smtplib.SMTPNotSupportedError():
            return PermanentError(f"{_NOT_OFFERED} what is needed to sign in")
        case smtplib.SMTPResponseException() if error.smtp_code > 0:
            return refusal(error.smtp_code, "the mail")
        case smtplib.SMTPException() if call.sent:
            late = "no answer within the time allowed" if call.expired else "the connection broke"
            return UncertainError(f"{late} before the mail server took the mail")
        case smtplib.SMTPException():
            late = "no answer within the time allowed" if call.expired else "the mail server closed the connection"
            return TransientError(late)
        case _:
            return translate(error, call)


def refusal(code: int, what: str) -> DeliveryError:
    """The error for a reply that isn't the one hoped for: 4xx may pass, 5xx doesn't."""
    text = f"the mail server refuses {what} ({code})"
    return PermanentError(text) if code >= LASTING else TransientError(text)
