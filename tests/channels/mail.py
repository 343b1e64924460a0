"""A real mail server on loopback, that refuses, hangs or dies as a test tells it to."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from tests.servers import free_port

USER = "mailer@example.com"


@dataclass(frozen=True)
class Received:
    """One mail as it was handed in."""

    sender: str
    to: tuple[str, ...]
    content: bytes
    signed_in: bool
    encrypted: bool

    @property
    def mail(self) -> EmailMessage:
        found = message_from_bytes(self.content, policy=policy.default)
        assert isinstance(found, EmailMessage)
        return found

    @property
    def text(self) -> str:
        part = self.mail.get_body(("plain",))
        assert part
        return str(part.get_content())

    @property
    def html(self) -> str:
        part = self.mail.get_body(("html",))
        assert part
        return str(part.get_content())


@dataclass
class Post:
    """``refuses`` answers a recipient with a reply of its own, ``ends`` does so for the mail itself.

    ``dies_at`` names the command ("RCPT", "DATA") at which the connection breaks, ``hangs_at`` at which nothing comes.
    """

    password: str = ""
    context: ssl.SSLContext | None = None
    implicit: bool = False
    refuses: dict[str, list[str]] = field(default_factory=dict)
    ends: list[str] = field(default_factory=list)
    dies_at: str = ""
    hangs_at: str = ""
    mails: list[Received] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.port = free_port()
        more: dict[str, Any] = {}
        if self.password:
            # By implicit TLS aiosmtpd knows of none, and warns.
            starttls = not self.implicit
            more = {"authenticator": self._authenticate, "auth_required": starttls, "auth_require_tls": starttls}
        if self.context and not self.implicit:
            more |= {"tls_context": self.context, "require_starttls": True}
        implicit = self.context if self.implicit else None
        self._controller = Controller(self, "127.0.0.1", self.port, ssl_context=implicit, timeout=60, **more)
        self._controller.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._controller.stop()

    def url(self, scheme: str = "smtp+plain", user: str = "", password: str = "") -> str:
        signed = f"{user}:{password}@" if user else ""
        return f"{scheme}://{signed}127.0.0.1:{self.port}"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        self.asked.append(address)
        await self._misbehave("RCPT", server)
        if replies := self.refuses.get(address):
            return replies.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        await self._misbehave("DATA", server)
        if self.ends:
            return self.ends.pop(0)
        signed_in, encrypted = bool(session.authenticated), session.ssl is not None or self.implicit
        self.mails.append(
            Received(envelope.mail_from, tuple(envelope.rcpt_tos), bytes(envelope.content), signed_in, encrypted)
        )
        return "250 OK"

    def _authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        known = isinstance(data, LoginPassword) and data.login.decode() == USER
        return AuthResult(success=known and data.password.decode() == self.password, handled=False)

    async def _misbehave(self, command: str, server: Any) -> None:
        if self.dies_at == command:
            server.transport.abort()
            await asyncio.sleep(0)
        if self.hangs_at == command:
            await _until(lambda: not self.hangs_at)


async def _until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.02)
