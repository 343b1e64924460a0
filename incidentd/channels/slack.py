"""Slack: one card for each episode of an incident, kept up to date, and what happens in its thread.

Nothing makes a post idempotent there, so each carries metadata by which it is found again when its reply was lost.
https://docs.slack.dev/messaging/message-metadata
"""

import re
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import requests

from incidentd.channels.channel import Destination, News, Receipt
from incidentd.channels.deadline import Deadline
from incidentd.channels.slack_api import API_URL, SlackApi, SlackRefusedError
from incidentd.channels.slack_card import Message, card, farewell
from incidentd.channels.slack_reply import reply
from incidentd.channels.transport import DeadlineAdapter, furnish
from incidentd.errors import DeliveryError, PermanentError, TransientError, UncertainError
from incidentd.incident.slot import parse_episode

CARD = "incidentd_card"
NEWS = "incidentd_news"

_UNEDITABLE = frozenset(
    {"message_not_found", "cant_update_message", "edit_window_closed", "is_inactive", "update_failed"}
)
_CHANNEL_ID = re.compile(r"[CDG][A-Z0-9]{6,}")
_CLOCKS_APART = timedelta(minutes=5)


class SlackChannel:
    """Keeps each incident's card in a Slack channel up to date.

    ``adapter`` may not resend: a post sent twice is there twice. ``now`` serves Retry-After dates.
    """

    def __init__(self, adapter: DeadlineAdapter, now: Callable[[], datetime], api_url: str | None = None) -> None:
        self._adapter = adapter
        self._now = now
        self._url = api_url or API_URL
        self._mine = threading.local()
        self._ids: dict[tuple[str, str], str] = {}

    def deliver(self, destination: Destination, news: News, *, seconds: float) -> Receipt:
        """Post the card, or bring it up to date and tell its thread what is new.

        Raises:
            TransientError, UncertainError, PermanentError: as ``Channel`` says.
        """
        if (nothing := self.silent(news)) is not None:
            return nothing
        desk = _Desk(self._api(destination, seconds), destination, news, self._ids)
        reference = dict(news.reference)
        if "ts" not in reference and (news.uncertain or news.again):
            reference = desk.find_card()
        if "ts" not in reference:
            return Receipt({}, sent=False) if _is_past(news) else desk.post()
        try:
            desk.update(reference)
        except SlackRefusedError as error:
            if error.code not in _UNEDITABLE:
                raise
            if _is_past(news):
                return Receipt(reference, sent=False, detail=error.code)
            return desk.replace(reference)
        return desk.ended(reference) if _is_past(news) else desk.reply(reference)

    def silent(self, news: News) -> Receipt | None:
        """A past card that points to the present one already, or that never came to be."""
        if not _is_past(news):
            return None
        if "ts" not in news.reference:
            return None if news.uncertain or news.again else Receipt({}, sent=False, asked=False)
        if news.reference.get("onward") and news.reference.get("onward") == news.successor.get("ts"):
            return Receipt(news.reference, sent=False, detail="points to its successor", asked=False)
        return None

    def whisper(self, destination: Destination, channel: str, user: str, text: str, seconds: float) -> bool:
        """Tell one user in a channel something that only they see. Whether it went out; no error is raised.

        ``text`` is marked up: whatever in it isn't ours has been escaped (``mrkdwn.line``).
        """
        said = {"channel": channel, "user": user, "text": text}
        try:
            self._api(destination, seconds).call("chat.postEphemeral", said)
        except DeliveryError:
            return False
        return True

    def _api(self, destination: Destination, seconds: float) -> SlackApi:
        if not destination.secret:
            raise PermanentError("Slack's token is missing")
        return SlackApi(destination.secret, self._url, self._session(), Deadline(seconds), self._now)

    def _session(self) -> requests.Session:
        """This thread's own; the connections are shared."""
        if not hasattr(self._mine, "session"):
            self._mine.session = furnish(requests.Session(), self._adapter, self._url)
        made: requests.Session = self._mine.session
        return made


class _Desk:
    """One delivery: the requests that it may take."""

    def __init__(self, api: SlackApi, destination: Destination, news: News, ids: dict[tuple[str, str], str]) -> None:
        self._api = api
        self._news = news
        self._ids = ids
        self._place = destination.options.get("channel", "").strip()
        self._named = (destination.secret, self._place)
        if not self._place:
            raise PermanentError("the destination names no Slack channel")

    def ended(self, reference: Mapping[str, str]) -> Receipt:
        """A past card, brought to its end."""
        return Receipt({**reference, "onward": self._news.successor.get("ts", "")}, sent=True, detail="updated")

    def post(self) -> Receipt:
        """A new card, which tells all there is to tell."""
        number = self._news.incident.last
        answer = self._post(self._place, card(self._news, first=True), CARD, number, {})
        channel, ts = str(answer.get("channel") or ""), str(answer.get("ts") or "")
        if not channel or not ts:
            raise UncertainError("Slack's answer names no message")
        self._ids[self._named] = channel
        return Receipt(
            {"channel": channel, "ts": ts, "posted": str(number), "replied": str(number)}, sent=True, detail="posted"
        )

    def replace(self, reference: Mapping[str, str]) -> Receipt:
        """A new card for one that can't be edited any more, unless an earlier try has posted that already."""
        found = self.find_card() if self._news.uncertain else {}
        return self.reply(found) if found.get("ts", reference["ts"]) != reference["ts"] else self.post()

    def update(self, reference: Mapping[str, str]) -> None:
        """The card as the incident now stands; a past one points to where the incident goes on."""
        message = farewell(self._news, self._onward()) if _is_past(self._news) else card(self._news)
        arguments = {
            "channel": reference["channel"],
            "ts": reference["ts"],
            "text": message.text,
            "blocks": message.blocks,
            "metadata": self._metadata(CARD, _number(reference.get("posted"))),
        }
        self._api.call("chat.update", arguments)

    def reply(self, reference: Mapping[str, str]) -> Receipt:
        """One reply in the thread for all that is new, if anything is."""
        told = _number(reference.get("replied"))
        if self._news.uncertain and reply(self._news, told):
            told = max(told, self._last_replied(reference))
        said = reply(self._news, told)
        if said is None:
            return Receipt({**reference, "replied": str(told)}, sent=True, detail="updated")
        more = {"thread_ts": reference["ts"], **({"reply_broadcast": True} if said.loud else {})}
        self._post(reference["channel"], said.message, NEWS, said.number, more)
        return Receipt({**reference, "replied": str(said.number)}, sent=True, detail="updated and replied")

    def find_card(self) -> dict[str, str]:
        """The reference of a card whose reply was lost; empty where there is none, or nobody lets us look.

        Needs ``channels:history`` (``groups:history`` in private channels).
        """
        since = (self._news.incident.opened_at - _CLOCKS_APART).timestamp()
        try:
            channel = self._channel_id()
            asked = {"channel": channel, "include_all_metadata": "true", "limit": "200", "oldest": f"{since:.6f}"}
            for page in self._api.pages("conversations.history", asked):
                for ts, number in self._ours(page, CARD):
                    return {"channel": channel, "ts": ts, "posted": str(number), "replied": str(number)}
        except PermanentError:
            return {}
        except TransientError as error:
            raise UncertainError(str(error), error.retry_after) from None
        return {}

    def _last_replied(self, reference: Mapping[str, str]) -> int:
        asked = {"channel": reference["channel"], "ts": reference["ts"], "include_all_metadata": "true", "limit": "200"}
        try:
            pages = self._api.pages("conversations.replies", asked)
            return max((number for page in pages for _, number in self._ours(page, NEWS)), default=0)
        except PermanentError:
            return 0
        except TransientError as error:
            raise UncertainError(str(error), error.retry_after) from None

    def _ours(self, page: Mapping[str, Any], kind: str) -> list[tuple[str, int]]:
        """The messages of this kind, incident and slot: their ts and entry number."""
        wanted = {"incident": self._news.incident.id, "slot": self._news.slot}
        return [
            (str(message.get("ts")), _number(payload.get("number")))
            for message in _objects(page.get("messages"))
            for metadata in _objects([message.get("metadata")])
            for payload in _objects([metadata.get("event_payload")])
            if metadata.get("event_type") == kind and wanted.items() <= payload.items()
        ]

    def _channel_id(self) -> str:
        """The id of our channel: given, learned from an earlier post, or looked up (``channels:read``)."""
        if _CHANNEL_ID.fullmatch(self._place):
            return self._place
        if self._named in self._ids:
            return self._ids[self._named]
        name = self._place.removeprefix("#")
        asked = {"types": "public_channel,private_channel", "exclude_archived": "true", "limit": "1000"}
        for page in self._api.pages("conversations.list", asked):
            for channel in _objects(page.get("channels")):
                if channel.get("name") == name:
                    return self._ids.setdefault(self._named, str(channel.get("id")))
        raise PermanentError("Slack knows no channel of that name")

    def _onward(self) -> str:
        """Where the present episode's card is; the incident's page where there is none yet."""
        successor = self._news.successor
        if "ts" not in successor:
            return self._news.url
        asked = {"channel": successor["channel"], "message_ts": successor["ts"]}
        try:
            return str(self._api.ask("chat.getPermalink", asked).get("permalink") or self._news.url)
        except PermanentError:
            return self._news.url

    def _post(
        self, channel: str, message: Message, kind: str, number: int, more: Mapping[str, object]
    ) -> Mapping[str, Any]:
        arguments = {
            "channel": channel,
            "text": message.text,
            "blocks": message.blocks,
            "metadata": self._metadata(kind, number),
            "unfurl_links": False,
            "unfurl_media": False,
        }
        return self._api.call("chat.postMessage", {**arguments, **more})

    def _metadata(self, kind: str, number: int) -> dict[str, object]:
        payload = {"incident": self._news.incident.id, "slot": self._news.slot, "number": number}
        return {"event_type": kind, "event_payload": payload}


def _is_past(news: News) -> bool:
    """Whether the card belongs to an episode before the present one."""
    return parse_episode(news.slot) < news.incident.episode


def _objects(found: object) -> list[dict[str, Any]]:
    """The JSON objects in a list; a stranger's answer may hold anything."""
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _number(text: object) -> int:
    return int(text) if isinstance(text, int | str) and str(text).isascii() and str(text).isdigit() else 0
