"""A Slack message, a channel and the people who press buttons."""

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

from incidentd.sandbox.answer import JsonObject

TEAM_ID = "T0SANDBOX"
APP_ID = "A0SANDBOX"
BOT_ID = "B0SANDBOX"
BOT_USER_ID = "U0SANDBOX"
BOT_NAME = "incidentd"

CHANNEL_ID = re.compile(r"[CGD][A-Z0-9]{8,}")
USER_ID = re.compile(r"[UW][A-Z0-9]{8,}")
_CHANNEL_NAME = re.compile(r"[^\sA-Z.,#@<>&]{1,80}")


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who can press a button at the sandbox's page."""

    id: str
    name: str
    real_name: str

    @property
    def email(self) -> str:
        """By which PagerDuty and Slack know the same person."""
        return f"{self.name}@sandbox.example"

    @property
    def pagerduty_id(self) -> str:
        """PagerDuty's id of the same person."""
        return f"P{self.id[1:]}"


USERS = (
    User("U0ANNABERG", "anna.berg", "Anna Berg"),
    User("U0BENOKORO", "ben.okoro", "Ben Okoro"),
    User("U0CHITANAKA", "chi.tanaka", "Chi Tanaka"),
)


@dataclass(frozen=True, slots=True)
class Message:
    """One message as Slack keeps it. ``visible_to`` is the one user who sees an ephemeral one."""

    channel: str
    ts: str
    text: str = ""
    blocks: list[JsonObject] = field(default_factory=list)
    attachments: list[JsonObject] = field(default_factory=list)
    thread_ts: str | None = None
    broadcast: bool = False
    metadata: JsonObject | None = None
    username: str = ""
    edited_ts: str | None = None
    visible_to: str | None = None

    @property
    def is_reply(self) -> bool:
        """Whether it stands in another message's thread."""
        return self.thread_ts is not None and self.thread_ts != self.ts

    def to_api(self, *, metadata: bool = False) -> JsonObject:
        """The message object of Slack's answers; its metadata only where asked for."""
        message: dict[str, Any] = {
            "type": "message",
            "user": BOT_USER_ID,
            "bot_id": BOT_ID,
            "app_id": APP_ID,
            "team": TEAM_ID,
            "ts": self.ts,
            "text": self.text,
        }
        optional = {
            "username": self.username,
            "blocks": self.blocks,
            "attachments": self.attachments,
            "thread_ts": self.thread_ts,
            "subtype": "thread_broadcast" if self.broadcast else None,
            "edited": self.edited_ts and {"user": BOT_USER_ID, "ts": self.edited_ts},
            "metadata": self.metadata if metadata else None,
        }
        return message | {name: value for name, value in optional.items() if value}


@dataclass(frozen=True, slots=True)
class Channel:
    """A conversation. Its ID follows from its name, so it is the same after every start."""

    id: str
    name: str


def channel_named(name: str) -> Channel | None:
    """The channel that a ``channel`` argument names or, by a user's ID, that user's direct messages; None if it can't
    be one. An ID that isn't known is its own name.
    """
    if CHANNEL_ID.fullmatch(name):
        return Channel(name, name)
    if USER_ID.fullmatch(name):
        return Channel("D" + name[1:], "@" + name)
    bare = name.removeprefix("#")
    if not _CHANNEL_NAME.fullmatch(bare):
        return None
    return Channel("C" + hashlib.sha256(bare.encode()).hexdigest()[:10].upper(), bare)
