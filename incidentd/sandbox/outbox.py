"""Mails and webhooks as they came in: what the stand-ins for a mail server and for any other receiver keep."""

import base64
import json
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

from incidentd.sandbox.answer import Answer, Call, JsonObject
from incidentd.sandbox.fault import InjectedFault
from incidentd.sandbox.ledger import Ledger, Recorded


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail. ``to`` are those whom the server was given."""

    at: datetime
    to: tuple[str, ...]
    subject: str
    text: str
    thread: str


@dataclass(frozen=True, slots=True)
class Hook:
    """One request to a webhook: ``name`` is the destination's, ``body`` as it is read best."""

    at: datetime
    name: str
    verb: str
    body: str
    signed: bool


class Mailbox:
    """Takes every mail."""

    name = "mail"

    def __init__(self, ledger: Ledger, keep: int | None) -> None:
        self._ledger = ledger
        self._mails: deque[Mail] = deque(maxlen=keep)

    @property
    def mails(self) -> list[Mail]:
        """All of them, oldest first."""
        with self._ledger.changed:
            return list(self._mails)

    def take(self, sender: str, to: list[str], content: bytes, at: datetime, monotonic: float) -> None:
        """Keep a mail that was handed in."""
        recorded = Recorded(0, self.name, "SMTP", ", ".join(to), f"from {sender}", (), content, at, monotonic)
        effect = {"at": at.isoformat(), "to": to, "content": base64.b64encode(content).decode()}
        with self._ledger.changed:
            recorded = self._ledger.begin(recorded)
            self.apply(effect)
            self._ledger.settle(recorded, Answer(250, {}, effect=effect))

    def apply(self, effect: JsonObject) -> None:
        """As ``StandIn``."""
        mail = message_from_bytes(base64.b64decode(effect["content"]), policy=policy.default)
        body = mail.get_body(("plain",)) if isinstance(mail, EmailMessage) else None
        text = str(body.get_content()) if isinstance(body, EmailMessage) else ""
        thread = str(mail.get("References", "")).split(" ")[0]
        at = datetime.fromisoformat(effect["at"])
        self._mails.append(Mail(at, tuple(effect["to"]), str(mail.get("Subject", "")), text, thread))


class Hooks:
    """Takes every webhook, under the destination's name, and names what it made of it as trackers do."""

    name = "webhook"

    def __init__(self, ledger: Ledger, keep: int | None) -> None:
        self._ledger = ledger
        self._hooks: deque[Hook] = deque(maxlen=keep)
        self._made = 0

    @property
    def hooks(self) -> list[Hook]:
        """All of them, oldest first."""
        with self._ledger.changed:
            return list(self._hooks)

    def read(self, recorded: Recorded) -> Call:
        """As ``StandIn``: the method is the destination's name, and what follows it in the path."""
        return Call(recorded.method, frozenset({recorded.method.partition("/")[0]}), recorded.body)

    def answer(self, call: Call, recorded: Recorded) -> Answer:
        """As ``StandIn``."""
        headers = dict(recorded.headers)
        effect = {
            "at": recorded.received_at.isoformat(),
            "name": call.method,
            "verb": recorded.verb,
            "body": _shown(recorded.body),
            "signed": "webhook-signature" in headers,
        }
        number = self._made + 1
        return Answer(201, {"id": str(number), "key": f"SANDBOX-{number}", "number": number}, effect=effect)

    def failure(self, fault: InjectedFault) -> Answer:
        """As ``StandIn``."""
        return Answer(fault.status, {})

    def apply(self, effect: JsonObject) -> None:
        """As ``StandIn``."""
        self._made += 1
        at = datetime.fromisoformat(effect["at"])
        self._hooks.append(Hook(at, effect["name"], effect["verb"], effect["body"], effect["signed"]))


@dataclass(frozen=True, slots=True)
class Outbox:
    """Both together."""

    mailbox: Mailbox
    hooks: Hooks


def _shown(body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
