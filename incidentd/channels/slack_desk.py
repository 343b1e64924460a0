"""One message in a Slack channel, and its thread: posted once, found again, edited."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from incidentd.channels.channel import Destination
from incidentd.channels.slack_api import SlackApi, next_cursor
from incidentd.channels.slack_card import Message
from incidentd.errors import PermanentError, TransientError, UncertainError

UNEDITABLE = frozenset(
    {"message_not_found", "cant_update_message", "edit_window_closed", "is_inactive", "update_failed"}
)
"""Slack's names for why a message can't be edited any more."""
_CHANNEL_ID = re.compile(r"[CDG][A-Z0-9]{6,}")
_CLOCKS_APART = timedelta(minutes=5)


class SlackDesk:
    """The requests that a delivery may take. ``identity`` is what the metadata of all its messages has in common.

    ``ids`` are channels' ids that were learned, shared by all. ``unseen`` says, once ``find`` found nothing, why there
    may be a message all the same; empty where there is none.
    """

    def __init__(
        self,
        api: SlackApi,
        destination: Destination,
        identity: Mapping[str, str],
        ids: dict[tuple[str, str], str],
    ) -> None:
        self._api = api
        self._identity = identity
        self._ids = ids
        self.unseen = ""
        self.place = destination.options.get("channel", "").strip()
        self._named = (destination.secret, self.place)
        if not self.place:
            raise PermanentError("the destination names no Slack channel")

    def post_first(self, message: Message, kind: str, number: int) -> dict[str, str]:
        """Post a message in the channel; returns where it is."""
        answer = self.send(self.place, message, kind, number, {})
        channel, ts = str(answer.get("channel") or ""), str(answer.get("ts") or "")
        if not channel or not ts:
            raise UncertainError("Slack's answer names no message")
        self._ids[self._named] = channel
        return {"channel": channel, "ts": ts, "posted": str(number), "replied": str(number)}

    def edit(self, reference: Mapping[str, str], message: Message, kind: str) -> None:
        """Bring the message up to date."""
        arguments = {
            "channel": reference["channel"],
            "ts": reference["ts"],
            "text": message.text,
            "blocks": message.blocks,
            "metadata": self.metadata(kind, number_of(reference.get("posted"))),
        }
        self._api.call("chat.update", arguments)

    def find(self, kind: str, opened_at: datetime) -> dict[str, str]:
        """The reference of a message whose reply was lost; empty where none is found, and ``unseen`` may say why.

        Among the channel's newest messages, a thousand at most, as each request takes of the delivery's time.
        Needs ``channels:history`` (``groups:history`` in private channels).
        """
        since = (opened_at - _CLOCKS_APART).timestamp()
        try:
            channel = self._channel_id()
            asked = {"channel": channel, "include_all_metadata": "true", "limit": "200", "oldest": f"{since:.6f}"}
            for page in self._api.pages("conversations.history", asked):
                self.unseen = "; an earlier one may be older than all that was looked at" if next_cursor(page) else ""
                for ts, number in self._ours(page, kind):
                    return {"channel": channel, "ts": ts, "posted": str(number), "replied": str(number)}
        except PermanentError as error:
            self.unseen = f"; an earlier one could not be looked for: {error}"
            return {}
        except TransientError as error:
            raise UncertainError(str(error), error.retry_after) from None
        return {}

    def last_replied(self, reference: Mapping[str, str], kind: str) -> int:
        """The highest number among our replies in the thread; 0 where there are none, or nobody lets us look."""
        asked = {"channel": reference["channel"], "ts": reference["ts"], "include_all_metadata": "true", "limit": "200"}
        try:
            pages = self._api.pages("conversations.replies", asked)
            return max((number for page in pages for _, number in self._ours(page, kind)), default=0)
        except PermanentError:
            return 0
        except TransientError as error:
            raise UncertainError(str(error), error.retry_after) from None

    def _ours(self, page: Mapping[str, Any], kind: str) -> list[tuple[str, int]]:
        """The messages of this kind and identity: their ts and entry number."""
        return [
            (str(message.get("ts")), number_of(payload.get("number")))
            for message in _objects(page.get("messages"))
            for metadata in _objects([message.get("metadata")])
            for payload in _objects([metadata.get("event_payload")])
            if metadata.get("event_type") == kind and self._identity.items() <= payload.items()
        ]

    def _channel_id(self) -> str:
        """The id of our channel: given, learned from an earlier post, or looked up (``channels:read``)."""
        if _CHANNEL_ID.fullmatch(self.place):
            return self.place
        if self._named in self._ids:
            return self._ids[self._named]
        name = self.place.removeprefix("#")
        asked = {"types": "public_channel,private_channel", "exclude_archived": "true", "limit": "1000"}
        for page in self._api.pages("conversations.list", asked):
            for channel in _objects(page.get("channels")):
                if channel.get("name") == name:
                    return self._ids.setdefault(self._named, str(channel.get("id")))
        raise PermanentError("Slack knows no channel of that name")

    def send(
        self, channel: str, message: Message, kind: str, number: int, more: Mapping[str, object]
    ) -> Mapping[str, Any]:
        """Post a message that can be found again; returns Slack's answer."""
        arguments = {
            "channel": channel,
            "text": message.text,
            "blocks": message.blocks,
            "metadata": self.metadata(kind, number),
            "unfurl_links": False,
            "unfurl_media": False,
        }
        return self._api.call("chat.postMessage", {**arguments, **more})

    def metadata(self, kind: str, number: int) -> dict[str, object]:
        """By which a message is found again."""
        return {"event_type": kind, "event_payload": {**self._identity, "number": number}}


def _objects(found: object) -> list[dict[str, Any]]:
    """The JSON objects in a list; a stranger's answer may hold anything."""
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def number_of(text: object) -> int:
    """A whole number as our references and metadata hold it; 0 for anything else."""
    return int(text) if isinstance(text, int | str) and str(text).isascii() and str(text).isdigit() else 0
