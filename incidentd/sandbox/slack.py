"""Slack's Web API, played, and the addresses at which an app answers a click.

https://docs.slack.dev/apis/web-api
"""

import hmac
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from incidentd.sandbox.answer import Answer, Call, JsonObject
from incidentd.sandbox.argument import Arguments, MethodError, read_arguments
from incidentd.sandbox.fault import FaultKind, InjectedFault
from incidentd.sandbox.ledger import Ledger, Recorded
from incidentd.sandbox.message import Channel, Message, channel_named
from incidentd.sandbox.method import METHODS, TEXT_MAX, message_content
from incidentd.sandbox.socket import OPEN, Sockets
from incidentd.sandbox.workspace import Workspace, deleted, edited, posted

RESPONSE = "response_url"


class Slack:
    """The stand-in. Everything it returns is a snapshot; safe for use by several threads."""

    name = "slack"

    def __init__(self, ledger: Ledger, keep: int | None, token: str | None, sockets: Sockets) -> None:
        self._ledger = ledger
        self._token = token
        self.sockets = sockets
        self.workspace = Workspace(keep)

    @property
    def requests(self) -> tuple[Recorded, ...]:
        """Every request, valid or not, oldest first."""
        return self._ledger.requests(self.name)

    @property
    def channels(self) -> list[Channel]:
        """Every channel that has had a message."""
        with self._ledger.changed:
            return self.workspace.channels

    def messages(self, channel: str | None = None) -> list[Message]:
        """All messages as they read now, oldest first: of a channel by name or ID, or of all. Replies, broadcast ones
        and ephemeral ones are among them.
        """
        with self._ledger.changed:
            found = None if channel is None else self.workspace.resolve(channel)
            return self.workspace.messages(None if found is None else found.id)

    def cards(self, channel: str | None = None) -> list[Message]:
        """The messages that stand in the channel itself: no replies, nothing ephemeral."""
        return [m for m in self.messages(channel) if not m.is_reply and m.visible_to is None]

    def ephemeral(self, user: str | None = None) -> list[Message]:
        """What only one person sees, oldest first."""
        return [m for m in self.messages() if m.visible_to is not None and user in (None, m.visible_to)]

    def replies(self, parent: Message) -> list[Message]:
        """The replies in a message's thread, oldest first, ephemeral ones left out."""
        with self._ledger.changed:
            found = self.workspace.replies(parent.channel, parent.ts)
        return [reply for reply in found if reply.visible_to is None]

    def message(self, ts: str, channel: str | None = None) -> Message | None:
        """A message by its ts, as it reads now."""
        return next((m for m in self.messages(channel) if m.ts == ts), None)

    def wait(self, until: Callable[["Slack"], bool], seconds: float = 5.0) -> bool:
        """Waits until ``until(self)`` holds; False if it doesn't within ``seconds``."""
        return self._ledger.wait(lambda: until(self), seconds)

    def read(self, recorded: Recorded) -> Call:
        """The arguments of a request; whatever can't be read is left for ``answer`` to refuse."""
        headers = dict(recorded.headers)
        path, _, query = recorded.path.partition("?")
        try:
            arguments = read_arguments(query, headers.get("content-type", ""), recorded.body)
        except MethodError as error:
            return Call(recorded.method, frozenset(), error)
        if recorded.method == RESPONSE:
            return Call(RESPONSE, frozenset(), arguments, path.rpartition("/")[2])
        return Call(recorded.method, _targets(self.workspace, arguments), arguments, _token(headers, arguments))

    def answer(self, call: Call, recorded: Recorded) -> Answer:
        """What Slack answers: 200, ``ok`` true or false."""
        try:
            return self._judge(call, recorded.received_at)
        except MethodError as error:
            return Answer(404 if error.error.endswith("_url") else 200, error.body())

    def failure(self, fault: InjectedFault) -> Answer:
        """What Slack answers when it fails in this way."""
        if fault.kind is FaultKind.RATE_LIMIT or fault.status == 429:
            headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
            return Answer(429, {"ok": False, "error": "ratelimited"}, headers)
        if fault.kind is FaultKind.ERROR:
            return Answer(200, {"ok": False, "error": fault.error})
        if fault.status < 500:
            return Answer(fault.status, {"ok": False, "error": "invalid_arguments"})
        return Answer(fault.status, "<html><body><h1>The sandbox was told to fail</h1></body></html>")

    def apply(self, effect: JsonObject) -> None:
        """Brings channels and messages up to date with what was accepted."""
        self.workspace.apply(effect)

    def _judge(self, call: Call, now: datetime) -> Answer:
        if not isinstance(call.arguments, Arguments):
            raise call.arguments if isinstance(call.arguments, MethodError) else MethodError("invalid_arguments")
        if call.method == RESPONSE:
            return self._respond(call.token, call.arguments, now)
        return self._call(call, call.arguments, now)

    def _call(self, call: Call, arguments: Arguments, now: datetime) -> Answer:
        if call.method == OPEN:
            return self.sockets.open(call.token)
        if not call.token:
            raise MethodError("not_authed")
        if self._token is not None and not hmac.compare_digest(call.token.encode(), self._token.encode()):
            raise MethodError("invalid_auth")
        if call.method not in METHODS:
            raise MethodError("unknown_method")
        return METHODS[call.method](self.workspace, arguments, now)

    def _respond(self, token: str, arguments: Arguments, now: datetime) -> Answer:
        """https://docs.slack.dev/interactivity/handling-user-interaction#message_responses"""
        address = self.workspace.use_address(token, now)
        if address is None:
            raise MethodError("expired_url" if token in self.workspace.addresses else "used_url")
        channel = self.workspace.resolve(address.channel) or Channel(address.channel, address.channel)
        if arguments.flag("delete_original"):
            return Answer(200, {"ok": True}, effect=deleted(channel.id, address.ts))
        content = message_content(arguments, TEXT_MAX)
        original = self.workspace.find(channel.id, address.ts)
        if arguments.flag("replace_original") and original is not None:
            return Answer(200, {"ok": True}, effect=edited(replace(original, **content)))
        seen_by = None if arguments.text("response_type") == "in_channel" else address.user
        message = Message(
            channel.id,
            self.workspace.next_ts(now),
            **content,
            thread_ts=arguments.text("thread_ts") or None,
            visible_to=seen_by,
        )
        return Answer(200, {"ok": True}, effect=posted(message, channel))


def _token(headers: dict[str, str], arguments: Arguments) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    try:
        return arguments.text("token")
    except MethodError:
        return ""


def _targets(workspace: Workspace, arguments: Arguments) -> frozenset[str]:
    try:
        name = arguments.text("channel")
    except MethodError:
        return frozenset()
    channel = workspace.resolve(name) or channel_named(name)
    known = {channel.id, channel.name} if channel is not None else set()
    return frozenset(known | {name})
