"""What Slack remembers: channels, messages, threads, and the addresses given out for answers to a click."""

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from incidentd.sandbox.answer import JsonObject
from incidentd.sandbox.message import CHANNEL_ID, Channel, Message, channel_named

RESPONSE_URL_USES = 5
RESPONSE_URL_LASTS = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class ResponseAddress:
    """Where the app may answer one click: 5 times within 30 minutes."""

    channel: str
    ts: str
    user: str
    expires_at: datetime
    uses_left: int = RESPONSE_URL_USES


class Workspace:
    """The fold of all accepted posts and edits. Not for several threads by itself: the ledger's lock guards it."""

    def __init__(self, keep: int | None) -> None:
        self._keep = keep
        self._channels: dict[str, Channel] = {}
        self._messages: dict[tuple[str, str], Message] = {}
        self._replies: dict[tuple[str, str], list[str]] = {}
        self._last_ts = Decimal(0)
        self.addresses: dict[str, ResponseAddress] = {}

    @property
    def channels(self) -> list[Channel]:
        """Every channel that ever had a message, in the order of their first."""
        return list(self._channels.values())

    def resolve(self, name: str, *, ids_only: bool = False) -> Channel | None:
        """The channel of a request's ``channel``. A known ID keeps its name; by name all channels exist."""
        if ids_only or CHANNEL_ID.fullmatch(name):
            known = self._channels.get(name)
            return known if known or ids_only else channel_named(name)
        return channel_named(name)

    def next_ts(self, now: datetime) -> str:
        """A ts that no message has, later than any before, ``now`` where that allows."""
        wanted = Decimal(int(now.timestamp() * 1_000_000)).scaleb(-6)
        self._last_ts = max(wanted, self._last_ts + Decimal("0.000001"))
        return f"{self._last_ts:.6f}"

    def find(self, channel: str, ts: str) -> Message | None:
        """A message by its channel's ID and its ts."""
        return self._messages.get((channel, ts))

    def messages(self, channel: str | None = None) -> list[Message]:
        """All messages, replies and ephemeral ones too, or those of one channel by ID; oldest first."""
        return [message for message in self._messages.values() if channel in (None, message.channel)]

    def replies(self, channel: str, ts: str) -> list[Message]:
        """The replies to a message, oldest first, ephemeral ones too."""
        found = (self._messages.get((channel, reply)) for reply in self._replies.get((channel, ts), ()))
        return [reply for reply in found if reply is not None]

    def apply(self, effect: JsonObject) -> None:
        """Brings everything up to date with what was accepted."""
        match effect["kind"]:
            case "posted":
                self._post(Message(**effect["message"]), effect["channel_name"])
            case "edited":
                message = Message(**effect["message"])
                self._messages[message.channel, message.ts] = message
            case "deleted":
                self._messages.pop((effect["channel"], effect["ts"]), None)

    def use_address(self, token: str, now: datetime) -> ResponseAddress | None:
        """The address behind a response_url, one use less of it left; None if it is unknown, used up or too old."""
        address = self.addresses.get(token)
        if address is None or address.uses_left == 0 or now > address.expires_at:
            return None
        self.addresses[token] = replace(address, uses_left=address.uses_left - 1)
        return address

    def _post(self, message: Message, channel_name: str) -> None:
        self._channels.setdefault(message.channel, Channel(message.channel, channel_name))
        self._messages[message.channel, message.ts] = message
        self._last_ts = max(self._last_ts, Decimal(message.ts))
        if message.thread_ts is not None and message.is_reply:
            self._replies.setdefault((message.channel, message.thread_ts), []).append(message.ts)
        if self._keep is not None and len(self._messages) > self._keep:
            oldest = next(iter(self._messages))
            del self._messages[oldest]
            self._replies.pop(oldest, None)


def posted(message: Message, channel: Channel) -> JsonObject:
    """The effect of a new message."""
    return {"kind": "posted", "message": asdict(message), "channel_name": channel.name}


def edited(message: Message) -> JsonObject:
    """The effect of a message that now reads like this."""
    return {"kind": "edited", "message": asdict(message)}


def deleted(channel: str, ts: str) -> JsonObject:
    """The effect of a message's removal."""
    return {"kind": "deleted", "channel": channel, "ts": ts}
