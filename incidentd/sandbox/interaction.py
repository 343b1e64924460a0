"""Pressing a button: the signed request that Slack would send to the app, or the envelope where the app listens itself.

https://docs.slack.dev/reference/interaction-payloads/block_actions-payload and
https://docs.slack.dev/authentication/verifying-requests-from-slack
"""

import json
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import requests
from slack_sdk.signature import SignatureVerifier

from incidentd.sandbox.answer import JsonObject
from incidentd.sandbox.ledger import Ledger
from incidentd.sandbox.message import APP_ID, BOT_ID, TEAM_ID, USERS, Message, User
from incidentd.sandbox.socket import ANSWER_SECONDS, Sockets
from incidentd.sandbox.workspace import RESPONSE_URL_LASTS, ResponseAddress, Workspace

_GIVE_UP_SECONDS = 10.0

Address = str | Callable[[], str]


@dataclass(frozen=True, slots=True)
class Press:
    """One press and what the app answered. ``problem`` is what Slack would show the person; empty if all went well.

    ``status`` is 200 also where the app acknowledged it over Socket Mode.
    """

    at: datetime
    user: User
    label: str
    action_id: str
    message_ts: str
    status: int | None
    seconds: float
    problem: str
    over_socket: bool = False


class PressError(Exception):
    """There is no such button, message or user."""


def buttons_of(message: Message) -> Iterator[tuple[str, JsonObject]]:
    """Every button of a message with its block's ID, in reading order."""
    blocks = [*message.blocks, *(block for item in message.attachments for block in item.get("blocks", []))]
    for block in blocks:
        for element in (*block.get("elements", ()), block.get("accessory", {})):
            if isinstance(element, dict) and element.get("type") == "button":
                yield block["block_id"], element


class Presser:
    """Sends the app what Slack sends when somebody presses a button. Safe for use by several threads.

    ``product_url`` is the app's base address and ``sandbox_url`` this sandbox's, under which the app finds the
    response_url; each may be a callable, for a port that is chosen late.
    """

    def __init__(
        self,
        workspace: Workspace,
        ledger: Ledger,
        sockets: Sockets,
        *,
        secret: str,
        product_url: Address,
        sandbox_url: Address,
        clock: Callable[[], datetime],
        users: Sequence[User] = USERS,
    ) -> None:
        self.product_url = product_url
        self.sandbox_url = sandbox_url
        self.users = tuple(users)
        self._workspace = workspace
        self._ledger = ledger
        self._sockets = sockets
        self._verifier = SignatureVerifier(secret)
        self._clock = clock
        self._presses: deque[Press] = deque(maxlen=100)

    @property
    def presses(self) -> tuple[Press, ...]:
        """The last hundred presses, oldest first."""
        with self._ledger.changed:
            return tuple(self._presses)

    def press(
        self,
        message: Message | str,
        action_id: str,
        user: User | str = "",
        *,
        channel: str | None = None,
        value: str | None = None,
    ) -> Press:
        """Presses the first button with this ``action_id`` (and ``value``) of a message, given whole or by its ts.

        ``user`` is a person, or one's ID; the first one where it is empty. Blocks until the app has answered.

        Raises:
            PressError: there is no such message, button or person.
        """
        person = self._user(user)
        with self._ledger.changed:
            found = self._find(message, channel)
            block_id, button = self._button(found, action_id, value)
            payload = self._payload(found, block_id, button, person)
        return self._send(payload, found, button, person)

    def _user(self, user: User | str) -> User:
        if isinstance(user, User):
            return user
        for person in self.users:
            if user in ("", person.id, person.name, person.real_name):
                return person
        raise PressError("nobody has this ID")

    def _find(self, message: Message | str, channel: str | None) -> Message:
        ts = message.ts if isinstance(message, Message) else message
        known = None if channel is None else self._workspace.resolve(channel)
        place = None if known is None else known.id
        place = message.channel if isinstance(message, Message) else place
        for found in self._workspace.messages(place):
            if found.ts == ts:
                return found
        raise PressError("no message has this ts")

    def _button(self, message: Message, action_id: str, value: str | None) -> tuple[str, JsonObject]:
        for block_id, button in buttons_of(message):
            if button["action_id"] == action_id and value in (None, button.get("value", "")):
                return block_id, button
        raise PressError("the message has no such button")

    def _payload(self, message: Message, block_id: str, button: JsonObject, user: User) -> JsonObject:
        now = self._clock()
        return {
            "type": "block_actions",
            "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": TEAM_ID},
            "api_app_id": APP_ID,
            "token": "deprecated",
            "container": _container(message),
            "trigger_id": f"{now.timestamp():.0f}.{uuid.uuid4().int % 10**12}.{uuid.uuid4().hex}",
            "team": {"id": TEAM_ID, "domain": "sandbox"},
            "enterprise": None,
            "is_enterprise_install": False,
            "channel": {"id": message.channel, "name": self._channel_name(message.channel)},
            "message": message.to_api() | {"bot_id": BOT_ID},
            "state": {"values": {}},
            "response_url": self._response_url(message, user, now),
            "actions": [_action(block_id, button, now)],
        }

    def _channel_name(self, channel_id: str) -> str:
        known = self._workspace.resolve(channel_id)
        return known.name if known is not None else channel_id

    def _response_url(self, message: Message, user: User, now: datetime) -> str:
        addresses = self._workspace.addresses
        for token in [token for token, address in addresses.items() if address.expires_at < now]:
            del addresses[token]
        token = uuid.uuid4().hex
        addresses[token] = ResponseAddress(message.channel, message.ts, user.id, now + RESPONSE_URL_LASTS)
        return f"{address_of(self.sandbox_url)}/slack/respond/{token}"

    def _send(self, payload: JsonObject, message: Message, button: JsonObject, user: User) -> Press:
        now = self._clock()
        began = time.monotonic()
        over_socket = self._sockets.is_connected
        status, problem = self._hand_over(payload) if over_socket else self._post(payload, f"{now.timestamp():.0f}")
        seconds = time.monotonic() - began
        if not problem and seconds > ANSWER_SECONDS:
            problem = f"answered after {seconds:.1f} s; Slack waits for {ANSWER_SECONDS:.0f} s"
        label = button["text"]["text"]
        press = Press(now, user, label, button["action_id"], message.ts, status, seconds, problem, over_socket)
        with self._ledger.changed:
            self._presses.append(press)
            self._ledger.touch()
        return press

    def _hand_over(self, payload: JsonObject) -> tuple[int | None, str]:
        if self._sockets.wait(self._sockets.send("interactive", payload), ANSWER_SECONDS):
            return 200, ""
        return None, f"not acknowledged within {ANSWER_SECONDS:.0f} s"

    def _post(self, payload: JsonObject, timestamp: str) -> tuple[int | None, str]:
        body = urlencode({"payload": json.dumps(payload)}).encode()
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": self._verifier.generate_signature(timestamp=timestamp, body=body) or "",
        }
        with requests.Session() as session:
            # The product is on this machine: a proxy of the environment has no part in it.
            session.trust_env = False
            try:
                url = f"{address_of(self.product_url)}/slack/interactions"
                answer = session.post(url, data=body, headers=headers, timeout=_GIVE_UP_SECONDS, allow_redirects=False)
            except requests.RequestException as error:
                return None, f"no answer ({type(error).__name__})"
        return answer.status_code, "" if answer.status_code == 200 else f"answered {answer.status_code}, not 200"


def address_of(address: Address) -> str:
    """An address that may be known late, without a slash at its end."""
    return (address if isinstance(address, str) else address()).rstrip("/")


def _container(message: Message) -> JsonObject:
    container: dict[str, Any] = {
        "type": "message",
        "message_ts": message.ts,
        "channel_id": message.channel,
        "is_ephemeral": message.visible_to is not None,
    }
    return container | ({"thread_ts": message.thread_ts} if message.thread_ts else {})


def _action(block_id: str, button: JsonObject, now: datetime) -> JsonObject:
    kept = {name: button[name] for name in ("type", "action_id", "text", "value", "style", "url") if name in button}
    return kept | {"block_id": block_id, "action_ts": f"{now.timestamp():.6f}"}
