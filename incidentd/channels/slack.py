"""Slack: one card for each episode of an incident, kept up to date, and what happens in its thread.

Nothing makes a post idempotent there, so each carries metadata by which it is found again when its reply was lost.
https://docs.slack.dev/messaging/message-metadata
"""

import json
import threading
import zlib
from collections.abc import Callable, Mapping
from datetime import datetime

import requests

from incidentd.channels.channel import Destination, News, Receipt
from incidentd.channels.deadline import Deadline
from incidentd.channels.digest import DigestNews
from incidentd.channels.slack_api import API_URL, SlackApi, SlackRefusedError
from incidentd.channels.slack_card import card, farewell
from incidentd.channels.slack_desk import UNEDITABLE, SlackDesk, number_of
from incidentd.channels.slack_digest import digest_card, digest_reply
from incidentd.channels.slack_reply import reply
from incidentd.channels.transport import DeadlineAdapter, furnish
from incidentd.errors import DeliveryError, PermanentError
from incidentd.incident.slot import parse_episode

CARD = "incidentd_card"
NEWS = "incidentd_news"

DIGEST = "incidentd_digest"
CALL = "incidentd_call"


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
            if error.code not in UNEDITABLE:
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

    def deliver_digest(self, destination: Destination, news: DigestNews, *, seconds: float) -> Receipt:
        """Post the one message, or edit it, and tell its thread in one sum what is loud.

        Raises:
            TransientError, UncertainError, PermanentError: as ``Channel`` says.
        """
        desk = _DigestDesk(self._api(destination, seconds), destination, news, self._ids)
        reference = dict(news.reference)
        if "ts" not in reference and news.uncertain:
            reference = desk.find(DIGEST, news.opened_at)
        if "ts" not in reference:
            return desk.post() if news.total else Receipt({}, sent=False, asked=False)
        return desk.bring_up_to_date(reference)

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


class _Desk(SlackDesk):
    """One delivery: the requests that it may take."""

    def __init__(self, api: SlackApi, destination: Destination, news: News, ids: dict[tuple[str, str], str]) -> None:
        super().__init__(api, destination, {"incident": news.incident.id, "slot": news.slot}, ids)
        self._news = news

    def ended(self, reference: Mapping[str, str]) -> Receipt:
        """A past card, brought to its end."""
        return Receipt({**reference, "onward": self._news.successor.get("ts", "")}, sent=True, detail="updated")

    def post(self) -> Receipt:
        """A new card, which tells all there is to tell."""
        number = self._news.incident.last
        reference = self.post_first(card(self._news, first=True), CARD, number)
        return Receipt(reference, sent=True, detail=f"posted{self.unseen}")

    def find_card(self) -> dict[str, str]:
        """The reference of a card whose reply was lost; empty where none is found."""
        return self.find(CARD, self._news.incident.opened_at)

    def replace(self, reference: Mapping[str, str]) -> Receipt:
        """A new card for one that can't be edited any more, unless an earlier try has posted that already."""
        found = self.find_card() if self._news.uncertain else {}
        return self.reply(found) if found.get("ts", reference["ts"]) != reference["ts"] else self.post()

    def update(self, reference: Mapping[str, str]) -> None:
        """The card as the incident now stands; a past one points to where the incident goes on."""
        message = farewell(self._news, self._onward()) if _is_past(self._news) else card(self._news)
        self.edit(reference, message, CARD)

    def reply(self, reference: Mapping[str, str]) -> Receipt:
        """One reply in the thread for all that is new, if anything is."""
        told = number_of(reference.get("replied"))
        if self._news.uncertain and reply(self._news, told):
            told = max(told, self.last_replied(reference, NEWS))
        said = reply(self._news, told)
        if said is None:
            return Receipt({**reference, "replied": str(told)}, sent=True, detail="updated")
        more = {"thread_ts": reference["ts"], **({"reply_broadcast": True} if said.loud else {})}
        self.send(reference["channel"], said.message, NEWS, said.number, more)
        return Receipt({**reference, "replied": str(said.number)}, sent=True, detail="updated and replied")

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


class _DigestDesk(SlackDesk):
    """One delivery of a digest."""

    def __init__(
        self, api: SlackApi, destination: Destination, news: DigestNews, ids: dict[tuple[str, str], str]
    ) -> None:
        super().__init__(api, destination, {"digest": news.id}, ids)
        self._news = news

    def post(self) -> Receipt:
        """The message, for the first time."""
        turn = self._news.turn
        reference = self.post_first(digest_card(self._news, first=True), DIGEST, turn)
        made = {**reference, "said": self._said(), "called": str(turn)}
        return Receipt(made, sent=True, detail=f"digest posted{self.unseen}")

    def bring_up_to_date(self, reference: Mapping[str, str]) -> Receipt:
        """Edit it if it changed, and call those who are to be called; a new one where it can't be edited any more."""
        said = self._said()
        changed = said != reference.get("said")
        if changed:
            try:
                self.edit(reference, digest_card(self._news), DIGEST)
            except SlackRefusedError as error:
                if error.code not in UNEDITABLE:
                    raise
                return self.post()
        kept = {**reference, "said": said}
        told = number_of(reference.get("replied"))
        if self._news.calls and self._news.uncertain:
            told = max(told, self.last_replied(reference, CALL))
        calls = [call for call in self._news.calls if call.turn > told]
        if not calls:
            called = {"called": str(self._news.turn)} if self._news.calls else {}
            return Receipt({**kept, **called}, sent=changed, detail="digest edited" if changed else "", asked=changed)
        more = {"thread_ts": reference["ts"], "reply_broadcast": True}
        self.send(reference["channel"], digest_reply(self._news, calls), CALL, self._news.turn, more)
        turn = str(self._news.turn)
        return Receipt({**kept, "replied": turn, "called": turn}, sent=True, detail="digest edited, and called")

    def _said(self) -> str:
        """What the message says, in short."""
        message = digest_card(self._news)
        return f"{zlib.crc32(json.dumps([message.text, message.blocks]).encode()):x}"


def _is_past(news: News) -> bool:
    """Whether the card belongs to an episode before the present one."""
    return parse_episode(news.slot) < news.incident.episode
